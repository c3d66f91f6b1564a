import type { IndexModel } from '@pinecone-database/pinecone';
import { AppError, type Clock, type Logger } from '../../kernel/index.ts';
import { abortable } from '../../resilience/index.ts';
import { hasStatus } from './failures.ts';
import { BACKGROUND, type PineconeClient } from './pinecone-client.ts';
import type { PineconeSettings } from './settings.ts';

/** An index that vectors of one width are in. */
export interface IndexTarget {
  readonly name: string;
  /** With its scheme. */
  readonly host: string;
  readonly dimensions: number;
}

export interface PineconeIndexes {
  /**
   * Finds the index of the configured embedder, or makes it. Rejects with `configuration_invalid` when it does not fit, and
   * with the failure when Pinecone cannot be asked.
   */
  start(signal: AbortSignal): Promise<void>;
  /** The index of that width; null: there is none, and none was to be made. */
  of(
    dimensions: number,
    how: { readonly create: boolean; readonly signal: AbortSignal | undefined },
  ): Promise<IndexTarget | null>;
  /** All indexes that vectors may be in. */
  all(signal: AbortSignal | undefined): Promise<readonly IndexTarget[]>;
}

/** What is known of the configured index. */
interface Main {
  /** Null: it is of another width, which this server has used before. */
  readonly target: IndexTarget | null;
  /** Address of the control plane; null: Pinecone's own. */
  readonly control: string | null;
}

/** Says who made an index. */
const MADE_BY = { made_by: 'chatsphere' };
const READY_WITHIN_MS = 180_000;
const ASKED_EVERY_MS = 1000;

/** An index of Pinecone has one width, so vectors of each width that embedders make have an index of their own. */
export function createPineconeIndexes(parts: {
  readonly client: PineconeClient;
  readonly settings: PineconeSettings;
  /** Width of the configured embedder. */
  readonly dimensions: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Aborted when the store stops. Look-ups are shared, so the one who asks first cannot end them by leaving. */
  readonly lifetime: AbortSignal;
}): PineconeIndexes {
  const { client, settings, dimensions, clock, logger, lifetime } = parts;
  let found: Promise<Main> | null = null;
  const targets = new Map<number, Promise<IndexTarget | null>>();

  async function findMain(signal: AbortSignal = lifetime): Promise<Main> {
    found ??= lookForMain(signal);
    const pending = found;
    pending.catch(() => {
      if (found === pending) found = null;
    });
    return pending;
  }

  async function lookForMain(signal: AbortSignal | undefined): Promise<Main> {
    const { host, index: name } = settings;
    if (host !== null) {
      const own = await askHost(host, signal);
      if (own !== null) {
        // An index outside pinecone.io: its control plane is not Pinecone's own either.
        const control = settings.controllerHost ?? (isPinecones(host) ? null : host);
        return { target: { name, host, dimensions: own }, control };
      }
    }
    const control = settings.controllerHost ?? host;
    const described = await describe(name, { control, signal }).catch(explained);
    if (described === null) {
      return { target: await make(name, { dimensions, control, signal }).catch(explained), control };
    }
    if (described.dimension === dimensions) return { target: fit(described, control), control };
    if (described.tags?.['made_by'] === MADE_BY.made_by) return { target: null, control };
    throw misfit(`has ${described.dimension ?? 'no'} dimensions, and the embedder makes ${dimensions}`);
  }

  /** What is no Pinecone says neither what it has nor how it fails. Rejects with the error, or one that names the setting. */
  function explained(error: unknown): never {
    const { host, controllerHost } = settings;
    const isForeign = hasStatus(error, 404) || hasStatus(error, 405);
    const isUnreadable = error instanceof AppError && error.code === 'provider_invalid_response';
    if (!isForeign && !isUnreadable) throw error;
    const [setting, address] = host === null ? ['PINECONE_CONTROLLER_HOST', controllerHost] : ['PINECONE_HOST', host];
    if (address === null) throw error;
    throw new AppError(
      'configuration_invalid',
      `What answers at ${setting} (${address}) is no Pinecone: neither an index nor a control plane. Set it to the host that Pinecone shows for the index, or leave it out: the index is looked up by PINECONE_INDEX then.`,
      { cause: error },
    );
  }

  /** The width of the index at this address; null: there is no index but a control plane. */
  async function askHost(host: string, signal: AbortSignal | undefined): Promise<number | null> {
    try {
      const call = { name: settings.index, host, namespace: '', patience: BACKGROUND, signal };
      const { value, text } = await client.data(call, (index) => index.describeIndexStats());
      const { metric } = JSON.parse(text) as { readonly metric?: unknown };
      if (typeof metric === 'string') refuseMetric(metric);
      if (value.dimension === dimensions) return dimensions;
      throw misfit(`has ${value.dimension ?? 'no'} dimensions, and the embedder makes ${dimensions}`);
    } catch (error) {
      if (hasStatus(error, 404)) return null;
      return explained(error);
    }
  }

  async function describe(
    name: string,
    { control, signal }: { readonly control: string | null; readonly signal: AbortSignal | undefined },
  ): Promise<IndexModel | null> {
    try {
      return await client.control({ host: control, signal }, (pinecone) => pinecone.describeIndex(name));
    } catch (error) {
      if (hasStatus(error, 404)) return null;
      throw error;
    }
  }

  async function make(
    name: string,
    how: { readonly dimensions: number; readonly control: string | null; readonly signal: AbortSignal | undefined },
  ): Promise<IndexTarget> {
    const { metric, cloud, region } = settings;
    logger.info({ index: name, dimensions: how.dimensions, metric, cloud, region }, 'making an index at Pinecone');
    try {
      await client.control({ host: how.control, signal: how.signal }, (pinecone) =>
        pinecone.createIndex({
          ...{ name, dimension: how.dimensions, metric, tags: MADE_BY },
          spec: { serverless: { cloud, region } },
        }),
      );
    } catch (error) {
      // Another process has made it at the same moment.
      if (!hasStatus(error, 409)) throw error;
    }
    for (const until = clock.now() + READY_WITHIN_MS; clock.now() < until; ) {
      const described = await describe(name, how);
      if (described?.status.ready) return fit(described, how.control);
      await clock.sleep(ASKED_EVERY_MS, how.signal);
    }
    throw new AppError('provider_unavailable', `The Pinecone index "${name}" is still being made. Try again later.`, {
      retryable: true,
    });
  }

  function fit(described: IndexModel, control: string | null): IndexTarget {
    const { name, host, dimension, metric, vectorType } = described;
    if (vectorType === 'sparse') throw misfit('is for sparse vectors alone', name);
    refuseMetric(metric, name);
    return { name, host: withScheme(host, control), dimensions: dimension ?? 0 };
  }

  function refuseMetric(metric: string, name = settings.index): void {
    if (settings.sparse && metric !== 'dotproduct') {
      throw misfit(`has the metric ${metric}, and PINECONE_SPARSE needs dotproduct`, name);
    }
    if (!['cosine', 'dotproduct'].includes(metric)) throw misfit(`has the metric ${metric}; it must be cosine`, name);
  }

  function misfit(reason: string, name = settings.index): AppError {
    return new AppError(
      'configuration_invalid',
      `The Pinecone index "${name}" ${reason}. Name another index with PINECONE_INDEX: it is made when it is missing.`,
    );
  }

  async function lookFor(width: number, create: boolean): Promise<IndexTarget | null> {
    const { target, control } = await findMain();
    if (target?.dimensions === width) return target;
    const where = { control, signal: lifetime };
    for (const name of [`${settings.index}-${width}`, ...(target === null ? [settings.index] : [])]) {
      const described = await describe(name, where);
      if (described?.dimension === width) return fit(described, control);
    }
    return create ? make(`${settings.index}-${width}`, { dimensions: width, ...where }) : null;
  }

  async function of(width: number, { create, signal }: Parameters<PineconeIndexes['of']>[1]) {
    const known = targets.get(width);
    if (known !== undefined) {
      const target = await abortable(
        known.catch(() => null),
        signal,
      );
      if (target !== null) return target;
    }
    const looking = lookFor(width, create);
    targets.set(width, looking);
    const forget = (): void => {
      if (targets.get(width) === looking) targets.delete(width);
    };
    looking.then((target) => target === null && forget(), forget);
    return abortable(looking, signal);
  }

  return {
    start: async (signal) => void (await findMain(signal)),
    of,
    async all(signal) {
      const { target, control } = await abortable(findMain(), signal);
      const own = new RegExp(`^${settings.index}(?:-\\d+)?$`);
      const { indexes = [] } = await client.control({ host: control, signal }, (pinecone) => pinecone.listIndexes());
      const listed = indexes
        .filter(({ name, vectorType }) => own.test(name) && vectorType !== 'sparse')
        .map(({ name, host, dimension }) => ({ name, host: withScheme(host, control), dimensions: dimension ?? 0 }));
      return target === null || listed.some(({ host }) => host === target.host) ? listed : [target, ...listed];
    },
  };
}

/** Pinecone gives hosts without a scheme, and so does a Pinecone on this machine, which speaks plain HTTP. */
function withScheme(host: string, control: string | null): string {
  if (/^https?:\/\//.test(host)) return host;
  return `${control?.startsWith('http://') ? 'http' : 'https'}://${host}`;
}

function isPinecones(host: string): boolean {
  return /(?:^|\.)pinecone\.io$/.test(new URL(withScheme(host, null)).hostname);
}
