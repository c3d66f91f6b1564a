import { hkdfSync, randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import type { Clock, IdMaker, Logger } from '../kernel/index.ts';
import { createKeySecret, hashSecret, hintOf } from '../security/index.ts';
import type { Bot, LeaseRegistry, Store } from '../store/index.ts';
import type { Trainer, UploadedFile } from '../training/index.ts';
import { DEMO_SLUG } from './demo-slug.ts';
import { ADMIN_KEY_HASH, DEFAULT_TENANT_ID, DEMO_BOT_ID, DEMO_KEY_NAME } from './first-start-names.ts';

/** Anybody who opens the page uses this key: enough for a person, too little for a program. */
const DEMO_LIMITS = { requestsPerMinute: 60, tokensPerMinute: 60_000, concurrent: 4 };
const DEMO_MAX_OUTPUT_TOKENS = 800;

interface FirstStartParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly createId: IdMaker;
  readonly pepper: string;
}

/** The bootstrap admin key as it is checked, and the key itself when this start made it. */
export interface AdminKey {
  readonly hash: string;
  readonly created: string | null;
  /** It is from the configuration, and another one was valid until now. */
  readonly replaces: boolean;
  /** Keeps a key that was made for later starts. Call it once the key is about to be shown: it can be shown only once. */
  keep(): Promise<void>;
}

/**
 * The one admin key of the installation. A key from the configuration takes the place of the one of before, at once and for
 * all processes; else that one stays; else one is made when `make` says so. `anew`: the one of before is not valid any more.
 */
export async function resolveAdminKey(
  store: Pick<Store, 'system'>,
  options: {
    readonly configured: string | null;
    readonly pepper: string;
    readonly make: boolean;
    readonly anew?: boolean;
  },
): Promise<AdminKey | null> {
  const known = (hash: string, replaces = false): AdminKey => ({ hash, created: null, replaces, keep: async () => {} });
  const stored = await store.system.getSetting(ADMIN_KEY_HASH);
  if (options.configured !== null) {
    const configured = hashSecret(options.pepper, options.configured);
    if (configured !== stored) await store.system.setSetting(ADMIN_KEY_HASH, configured);
    return known(configured, stored !== null && configured !== stored);
  }
  if (stored !== null && options.anew !== true) return known(stored);
  if (!options.make) return null;
  const created = createKeySecret('live', randomBytes);
  const hash = hashSecret(options.pepper, created);
  return { hash, created, replaces: false, keep: () => store.system.setSetting(ADMIN_KEY_HASH, hash) };
}

const TURN = 'first-start';
/** How long one that died holds others up. */
const TURN_MS = 15_000;
const EXTEND_MS = 5_000;
const POLL_MS = 100;

/** A start that takes longer hangs: others get their turn. */
const MOST_MS = 600_000;
/** How often one that waits says for whom. */
const TELL_MS = 10_000;
/** What leases begin with that say who has the turn. */
const HOLDER = `${TURN}/`;

export interface FirstTurnParts {
  readonly leases: Pick<LeaseRegistry, 'acquire' | 'release' | 'ofOthers'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What others are told of who has the turn, such as the machine and the number of the process. */
  readonly self: string;
  /** Ends the waiting: it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Waits until no other process makes what the first start makes. The turn is kept until it is released, but not longer
 * than ten minutes.
 */
export async function takeFirstTurn(parts: FirstTurnParts): Promise<{ release(): Promise<void> }> {
  const { leases, clock, logger, signal } = parts;
  const released = new AbortController();
  async function acquire(): Promise<boolean> {
    const now = clock.now();
    const times = { now, expiresAt: now + TURN_MS };
    if (!(await leases.acquire(TURN, times))) return false;
    await leases.acquire(HOLDER + parts.self, times);
    return true;
  }
  async function wait(): Promise<void> {
    for (let tellAt = clock.now() + TELL_MS; !(await acquire()); await clock.sleep(POLL_MS, signal)) {
      if (clock.now() < tellAt) continue;
      tellAt = clock.now() + TELL_MS;
      const holders = await leases.ofOthers(HOLDER, clock.now());
      const heldBy = holders.map(({ name }) => name.slice(HOLDER.length)).join(', ');
      logger.warn({ heldBy }, 'This start waits for the first start of another process');
    }
  }
  async function extend(): Promise<void> {
    const until = clock.now() + MOST_MS;
    while (clock.now() < until) {
      await clock.sleep(EXTEND_MS, released.signal).catch(() => {});
      if (released.signal.aborted) return;
      await acquire().catch((error: unknown) => logger.warn({ error }, 'The turn of the first start was not extended'));
    }
    logger.error(
      {},
      'This start has not come to an end within ten minutes: other processes do not wait for it any more',
    );
  }
  signal?.throwIfAborted();
  await wait();
  const extending = extend();
  return {
    async release() {
      released.abort();
      await extending;
      // They expire by themselves.
      await Promise.all([leases.release(TURN), leases.release(HOLDER + parts.self)]).catch((error: unknown) =>
        logger.warn({ error }, 'The turn was not given back'),
      );
    },
  };
}

/** Makes the default tenant when it is missing. */
export async function ensureDefaultTenant(store: Store, clock: Clock): Promise<void> {
  if ((await store.tenants.get(DEFAULT_TENANT_ID)) !== null) return;
  const now = clock.now();
  await store.tenants.create({ id: DEFAULT_TENANT_ID, name: 'default', createdAt: now, updatedAt: now });
}

/**
 * The demo bot, made at the first start; null once somebody deleted it. It is known by its id: a bot that an operator
 * calls "demo" later is not it.
 */
export async function ensureDemoBot(parts: FirstStartParts): Promise<Bot | null> {
  const { system } = parts.store;
  const { bots } = parts.store.forTenant(DEFAULT_TENANT_ID);
  const id = await system.getSetting(DEMO_BOT_ID);
  if (id !== null) return bots.get(id);
  if ((await bots.get(DEMO_SLUG)) !== null) return null;
  const bot = await makeDemoBot(parts);
  await system.setSetting(DEMO_BOT_ID, bot.id);
  return bot;
}

/** What the sources of the demo bot are called: names of the files of this version's documentation. */
export async function documentationNames(documentation: string): Promise<ReadonlySet<string>> {
  return new Set((await documentationFiles(documentation)).map((path) => basename(path)));
}

/** Trains the demo bot on the documentation that came with this version. Does no work when nothing changed. */
export async function trainDemoBot(bot: Bot, trainer: Pick<Trainer, 'put'>, documentation: string): Promise<void> {
  for (const path of await documentationFiles(documentation)) {
    const content = await readFile(path, 'utf8');
    const name = basename(path);
    await trainer.put(bot, name, { content: { type: 'file', title: name, files: oneFile(name, content) } });
  }
}

async function makeDemoBot({ store, clock, createId }: FirstStartParts): Promise<Bot> {
  const now = clock.now();
  const bot = {
    id: createId('bot'),
    name: 'ChatSphere demo',
    slug: DEMO_SLUG,
    instructions: 'You answer questions about ChatSphere AI from its documentation.',
    model: null,
    temperature: null,
    maxOutputTokens: DEMO_MAX_OUTPUT_TOKENS,
    refusalMessage: null,
    retrieval: {},
    privacy: { pii: 'off' },
    metadata: {},
    createdAt: now,
    updatedAt: now,
  } as const;
  await store.forTenant(DEFAULT_TENANT_ID).bots.create(bot);
  return { ...bot, tenantId: DEFAULT_TENANT_ID };
}

/**
 * The public key of the page at `/`: it may chat with the demo bot and nothing else. It is derived from the server's
 * secret, so that it is the same after a restart and stored nowhere. Null when it was revoked.
 */
export async function ensureDemoKey(
  { store, clock, createId, pepper }: FirstStartParts,
  bot: Bot,
): Promise<string | null> {
  const secret = createKeySecret(
    'pub',
    (size) => new Uint8Array(hkdfSync('sha256', pepper, bot.id, 'demo page key', size)),
  );
  const secretHash = hashSecret(pepper, secret);
  const known = await store.system.findApiKey(secretHash);
  if (known !== null) return known.revokedAt === null ? secret : null;
  await store.forTenant(bot.tenantId).apiKeys.create({
    id: createId('key'),
    name: DEMO_KEY_NAME,
    secretHash,
    hint: hintOf(secret),
    scopes: ['chat'],
    bots: [bot.id],
    origins: null,
    limits: DEMO_LIMITS,
    expiresAt: null,
    revokedAt: null,
    lastUsedAt: null,
    createdAt: clock.now(),
  });
  return secret;
}

async function documentationFiles(folder: string): Promise<string[]> {
  const docs = await readdir(join(folder, 'docs')).catch(() => []);
  const pages = docs
    .filter((name) => name.endsWith('.md') && name !== 'benchmarks.md')
    .map((name) => join(folder, 'docs', name));
  return [join(folder, 'README.md'), join(folder, 'ARCHITECTURE.md'), ...pages.sort()];
}

async function* oneFile(name: string, content: string): AsyncIterable<UploadedFile> {
  yield { name, mediaType: 'text/markdown', content: Readable.from([Buffer.from(content)]) };
}
