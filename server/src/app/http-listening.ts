import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AppError, createDeadline, type Lifecycle, type Logger } from '../kernel/index.ts';
import { createWriteGathering } from '../resilience/index.ts';
import type { Composition } from './compose.ts';
import type { Config } from './config.ts';

/** What is no answer may take so long to finish, after the answers. */
const CUT_MS = 5_000;
/** As many clients as may come at once. Node's 511 are soon full while much is under way, and who is turned away tries again after seconds. */
const LISTEN_BACKLOG = 4096;
/** Node takes one connection in a turn of its event loop. */
const QUIET_TURNS = 3;
const TAKING_MS = 1_000;

type Listening = Pick<Composition, 'http' | 'drainAnswers'>;
type Place = Pick<Config, 'host' | 'port' | 'drainTimeoutMs'>;

/**
 * Listens. On stop it still does unless connections are refused, to say 503 to whoever comes, until the answers that are under
 * way have finished or their time is over; then lets other requests finish for a while, and cuts them.
 */
export function httpServer({ http, drainAnswers }: Listening, config: Place, logger: Logger): Lifecycle {
  return {
    name: 'http',
    async start() {
      http.server.on('connection', createWriteGathering().admit);
      try {
        await http.listen({ host: config.host, port: config.port, backlog: LISTEN_BACKLOG });
      } catch (cause) {
        throw listenError(cause, config);
      }
    },
    async stop() {
      await drainAnswers(config.drainTimeoutMs);
      using deadline = createDeadline(CUT_MS);
      deadline.signal.addEventListener('abort', () => {
        logger.warn({}, 'requests were still running at the end of the drain time and are cut');
        http.server.closeAllConnections();
      });
      await http.close();
    },
  };
}

/**
 * Takes no connections any more and ends those that wait for a request; what is under way goes on. For a server behind a
 * balancer: a connection that was not made may go to another server, whatever would have been asked. The kernel resets those that it has
 * made and nobody has taken yet, with what was sent on them, so they are taken first: closes after turns of the event
 * loop in which none came, or after a second.
 */
export async function refuseConnections({ http }: { readonly http: { readonly server: Server } }): Promise<void> {
  const { server } = http;
  let quietTurns = 0;
  const note = (): void => {
    quietTurns = -1;
  };
  server.on('connection', note);
  const until = performance.now() + TAKING_MS;
  while (quietTurns < QUIET_TURNS && performance.now() < until) {
    await new Promise((resolve) => setImmediate(resolve));
    quietTurns += 1;
  }
  server.close();
  server.off('connection', note);
}

/** Where this machine reaches the server. */
export function addressOf({ http }: Listening, config: Place): string {
  const { port } = http.server.address() as AddressInfo;
  const host = config.host === '0.0.0.0' || config.host === '::' ? '127.0.0.1' : config.host;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function listenError(cause: unknown, config: Place): unknown {
  const code = (cause as NodeJS.ErrnoException).code;
  const place = `${config.host}:${config.port}`;
  if (code === 'EADDRINUSE')
    return new AppError(
      'configuration_invalid',
      `The port ${place} is taken by another program. Set PORT to a free one.`,
      { cause },
    );
  if (code === 'EACCES')
    return new AppError('configuration_invalid', `This user may not listen on ${place}. Set PORT to 1024 or higher.`, {
      cause,
    });
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return new AppError('configuration_invalid', `This machine has no address ${config.host}. Set HOST.`, { cause });
  return cause;
}
