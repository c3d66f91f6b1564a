import { isIP } from 'node:net';
import { buildConnector } from 'undici';
import { AppError } from '../../kernel/index.ts';
import { isPublicAddress, isTranslatedAddress } from './public-address.ts';
import { notAllowed, type UrlGuard } from './url-guard.ts';

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** Every address of a name. Rejects when there is none. */
export type Resolver = (hostname: string) => Promise<readonly ResolvedAddress[]>;

export interface GuardedConnectorOptions {
  readonly guard: Pick<UrlGuard, 'allowsPrivate'>;
  readonly resolve: Resolver;
  readonly connectTimeoutMs: number;
}

/**
 * Opens connections to public addresses only. A name is resolved once, all of its addresses are judged, and the socket is
 * given just those: nothing resolves the name a second time. TLS still verifies the name.
 */
export function createGuardedConnector({
  guard,
  resolve,
  connectTimeoutMs,
}: GuardedConnectorOptions): buildConnector.connector {
  async function judge({ hostname, port, protocol }: buildConnector.Options): Promise<readonly ResolvedAddress[]> {
    const allowsPrivate = guard.allowsPrivate(hostname, port || (protocol === 'https:' ? '443' : '80'));
    const family = isIP(hostname);
    const addresses = family === 0 ? await resolveName(hostname) : [{ address: hostname, family }];
    if (allowsPrivate) return addresses;
    // What networks without IPv4 make up beside the real addresses is left out; anything else that is not public refuses all.
    const untranslated = addresses.filter(({ address }) => !isTranslatedAddress(address));
    const judged = untranslated.length > 0 ? untranslated : addresses;
    if (!judged.every(({ address }) => isPublicAddress(address))) throw notAllowed(hostname);
    return judged;
  }

  async function resolveName(hostname: string): Promise<readonly ResolvedAddress[]> {
    const addresses = await resolve(hostname).catch((cause: unknown) => {
      throw notFound(hostname, cause);
    });
    if (addresses.length === 0) throw notFound(hostname);
    return addresses;
  }

  return (options, callback) => {
    judge(options).then(
      (addresses) => connectorTo(addresses, connectTimeoutMs)(options, callback),
      (error: Error) => callback(error, null),
    );
  };
}

function connectorTo(addresses: readonly ResolvedAddress[], timeout: number): buildConnector.connector {
  return buildConnector({
    timeout,
    allowH2: false,
    lookup(_hostname, options, callback) {
      const wanted = addresses.filter(({ family }) => !options.family || options.family === family);
      const found = wanted.length > 0 ? wanted : addresses;
      if (options.all) callback(null, [...found]);
      else callback(null, found[0]?.address ?? '', found[0]?.family);
    },
  });
}

function notFound(hostname: string, cause?: unknown): AppError {
  return new AppError('fetch_failed', `There is no host "${hostname}", or its name cannot be looked up just now.`, {
    retryable: true,
    cause,
  });
}
