import { z } from 'zod';
import { wholeNumber } from './environment-values.ts';
import type { Role } from './role-config.ts';

const CONNECTIONS = 10;

/** The settings of the database, for the schema of the environment. */
export const databaseEnvironment = {
  DATABASE_URL: z
    .string()
    .refine(isPostgresUrl, { error: 'must be a postgres:// address that names a database' })
    .optional(),
  DATABASE_LISTEN_URL: z
    .string()
    .refine(isPostgresUrl, { error: 'must be a postgres:// address that names a database' })
    .optional(),
  DATABASE_POOL_SIZE: wholeNumber(2, 500).optional(),
};

/** A PostgreSQL database that processes share. */
export interface DatabaseSettings {
  readonly url: string;
  /** The same database past any pooler, to listen for notifications at. */
  readonly listenUrl: string;
  /** Most connections of this process, without the one that listens. */
  readonly connections: number;
}

/** Where vectors are searched. */
export type VectorStoreKind = 'embedded' | 'pgvector' | 'langchain' | 'pinecone';

interface DatabaseEnvironment {
  readonly VECTOR_STORE: 'auto' | VectorStoreKind;
  readonly DATABASE_URL?: string | undefined;
  readonly DATABASE_LISTEN_URL?: string | undefined;
  readonly DATABASE_POOL_SIZE?: number | undefined;
  readonly CHATSPHERE_SECRET?: string | undefined;
  readonly ROLE: Role;
}

/** Null: the embedded database in the data folder. */
export function databaseSettingsOf(environment: DatabaseEnvironment): DatabaseSettings | null {
  const { DATABASE_URL: url, DATABASE_LISTEN_URL: listenUrl, DATABASE_POOL_SIZE: connections } = environment;
  return url === undefined ? null : { url, listenUrl: listenUrl ?? url, connections: connections ?? CONNECTIONS };
}

/** `auto`: in the database, whichever it is. */
export function vectorStoreOf({ VECTOR_STORE: chosen, DATABASE_URL: url }: DatabaseEnvironment): VectorStoreKind {
  if (chosen !== 'auto') return chosen;
  return url === undefined ? 'embedded' : 'pgvector';
}

/** Processes that share a database must know keys by one secret; one that each makes in its folder would differ. */
export function databaseFaults(environment: DatabaseEnvironment): readonly string[] {
  const { DATABASE_URL: url, DATABASE_LISTEN_URL: listenUrl, CHATSPHERE_SECRET: secret } = environment;
  const { VECTOR_STORE, ROLE } = environment;
  const faults: readonly [boolean, string][] = [
    [
      url !== undefined && secret === undefined,
      'CHATSPHERE_SECRET is required with DATABASE_URL: all processes need the same one, of at least 32 characters',
    ],
    [url === undefined && listenUrl !== undefined, 'DATABASE_LISTEN_URL has no effect without DATABASE_URL'],
    [
      url === undefined && environment.DATABASE_POOL_SIZE !== undefined,
      'DATABASE_POOL_SIZE has no effect without DATABASE_URL',
    ],
    [url === undefined && VECTOR_STORE === 'pgvector', 'VECTOR_STORE=pgvector needs a PostgreSQL: set DATABASE_URL'],
    [
      url !== undefined && VECTOR_STORE === 'embedded' && ROLE !== 'all',
      'VECTOR_STORE=embedded keeps vectors in the memory of one process: with DATABASE_URL it needs ROLE=all',
    ],
  ];
  return faults.flatMap(([applies, fault]) => (applies ? [fault] : []));
}

/** Whether no other process may work on a database that could be shared: it would not see this one's vectors. */
export function isAlone(config: {
  readonly database: DatabaseSettings | null;
  readonly vectorStore: VectorStoreKind;
}): boolean {
  return config.database !== null && config.vectorStore === 'embedded';
}

/** What is allowed, but only as long as it is kept to. */
export function databaseWarnings({ DATABASE_URL: url, VECTOR_STORE }: DatabaseEnvironment): readonly string[] {
  if (url === undefined || VECTOR_STORE !== 'embedded') return [];
  return ['VECTOR_STORE=embedded: no other process can start on this database while this one runs.'];
}

/** What must not be logged: the addresses, and the passwords in them as they are written and meant. */
export function databaseSecrets(settings: DatabaseSettings | null): readonly string[] {
  if (settings === null) return [];
  return [settings.url, settings.listenUrl].flatMap((url) => {
    const { password } = new URL(url);
    return password === '' ? [] : [url, password, decodeURIComponent(password)];
  });
}

function isPostgresUrl(text: string): boolean {
  try {
    const { protocol, hostname, pathname, password } = new URL(text);
    decodeURIComponent(password);
    return ['postgres:', 'postgresql:'].includes(protocol) && hostname !== '' && /^\/[^/]+$/.test(pathname);
  } catch {
    return false;
  }
}
