import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat, utimes } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { type Kysely, sql, type Transaction } from 'kysely';
import { AppError } from '../../kernel/index.ts';
import { createSingleFlight } from '../../resilience/index.ts';
import type { BlobStore } from '../../store/index.ts';
import type { PostgresDatabases } from './open-postgres.ts';

interface BlobTables {
  blobs: { hash: string; bytes: number; stored_at: number };
  blob_parts: { hash: string; position: number; content: Uint8Array };
}

/** Blobs on the disk of this machine: what is taken in or read passes through it. */
export interface LocalBlobs extends Pick<BlobStore, 'put' | 'sweep'> {
  /** Throws `internal_error` for what is no hash. */
  pathOf(hash: string): string;
}

export interface PostgresBlobStore extends BlobStore {
  /** Makes the tables. */
  start(): Promise<void>;
  /** Removes local copies that were not used for so long. To be called now and then in each process. */
  forgetCopies(unusedForMs: number): Promise<number>;
}

export interface PostgresBlobStoreOptions {
  readonly databases: Pick<PostgresDatabases, 'database'>;
  readonly local: LocalBlobs;
  readonly now: () => number;
}

/** Of a row, and of memory while a blob goes in or out. */
const PART_BYTES = 1024 ** 2;
const AT_ONCE = 1_000;
/** Keeps the lock of those who make the tables apart from others. */
const TABLES_LOCK = 7_246_536;

/**
 * Blobs in the database, as rows of a megabyte, so that any machine can read what was uploaded to another. A copy on the
 * machine's own disk, made when it is first needed, is what parsers read.
 */
export function createPostgresBlobStore({ databases, local, now }: PostgresBlobStoreOptions): PostgresBlobStore {
  const database = databases.database as unknown as Kysely<BlobTables>;
  const fetching = createSingleFlight<void>();

  async function* partsOf(hash: string): AsyncGenerator<Buffer> {
    for (let position = 0; ; position += 1) {
      const row = await database
        .selectFrom('blob_parts')
        .select('content')
        .where('hash', '=', hash)
        .where('position', '=', position)
        .executeTakeFirst();
      if (row === undefined) return;
      yield Buffer.from(row.content);
    }
  }

  async function sizeOf(hash: string): Promise<number | null> {
    const row = await database.selectFrom('blobs').select('bytes').where('hash', '=', hash).executeTakeFirst();
    return row === undefined ? null : Number(row.bytes);
  }

  async function fetchCopy(hash: string, signal: AbortSignal): Promise<void> {
    const bytes = await sizeOf(hash);
    if (bytes === null) return;
    const content = Readable.from(partsOf(hash), { objectMode: false });
    const copy = await local.put(content, { maxBytes: bytes, signal });
    if (copy.hash !== hash) throw damaged();
  }

  return {
    async start() {
      await database.transaction().execute(async (transaction) => {
        await sql`select pg_advisory_xact_lock(${TABLES_LOCK})`.execute(transaction);
        await createTables(transaction);
      });
    },
    async put(content, options) {
      const reference = await local.put(content, options);
      const { hash, bytes } = reference;
      await database.transaction().execute(async (transaction) => {
        if (!(await isNew(transaction, { hash, bytes, storedAt: now() }))) return;
        let position = 0;
        for await (const part of createReadStream(local.pathOf(hash), { highWaterMark: PART_BYTES })) {
          const row = { hash, position, content: part as Buffer };
          await transaction.insertInto('blob_parts').values(row).execute();
          position += 1;
        }
      });
      return reference;
    },
    async read(hash, signal) {
      local.pathOf(hash);
      signal?.throwIfAborted();
      if ((await sizeOf(hash)) === null) throw gone();
      const parts: Buffer[] = [];
      for await (const part of partsOf(hash)) {
        signal?.throwIfAborted();
        parts.push(part);
      }
      const content = Buffer.concat(parts);
      if (createHash('sha256').update(content).digest('hex') !== hash) throw damaged();
      return content;
    },
    async localPath(hash, signal) {
      const path = local.pathOf(hash);
      const used = new Date(now());
      if (
        await stat(path).then(
          () => utimes(path, used, used).then(() => true),
          () => false,
        )
      )
        return path;
      await fetching.run(hash, (wanted) => fetchCopy(hash, wanted), signal);
      return path;
    },
    async sweep(inUse, olderThan) {
      let removed = 0;
      for (let after = ''; ; ) {
        const rows = await database
          .selectFrom('blobs')
          .select('hash')
          .where('hash', '>', after)
          .where('stored_at', '<', olderThan)
          .orderBy('hash')
          .limit(AT_ONCE)
          .execute();
        for (const { hash } of rows.filter((row) => !inUse.has(row.hash))) {
          // It may have been put again meanwhile, which renews its time. Its parts go with it.
          const { numDeletedRows } = await database
            .deleteFrom('blobs')
            .where('hash', '=', hash)
            .where('stored_at', '<', olderThan)
            .executeTakeFirst();
          removed += Number(numDeletedRows);
        }
        if (rows.length < AT_ONCE) return removed;
        after = rows.at(-1)?.hash ?? after;
      }
    },
    forgetCopies: (unusedForMs) => local.sweep(new Set(), now() - unusedForMs),
  };
}

/** False when the bytes are there already: their time is renewed then. Whoever puts the same at once is waited for. */
async function isNew(
  transaction: Transaction<BlobTables>,
  { hash, bytes, storedAt }: { readonly hash: string; readonly bytes: number; readonly storedAt: number },
): Promise<boolean> {
  const row = await transaction
    .insertInto('blobs')
    .values({ hash, bytes, stored_at: storedAt })
    .onConflict((conflict) => conflict.column('hash').doUpdateSet({ stored_at: storedAt }))
    .returning(sql<boolean>`xmax = 0`.as('inserted'))
    .executeTakeFirstOrThrow();
  return row.inserted;
}

async function createTables(transaction: Kysely<BlobTables>): Promise<void> {
  await sql`create table if not exists blobs (
    hash text primary key, bytes bigint not null, stored_at bigint not null
  )`.execute(transaction);
  // Compressed and random bytes alike: what is uploaded is mostly packed already.
  await sql`create table if not exists blob_parts (
    hash text not null references blobs (hash) on delete cascade,
    position integer not null,
    content bytea not null,
    primary key (hash, position)
  )`.execute(transaction);
  await sql`alter table blob_parts alter column content set storage external`.execute(transaction);
}

function gone(): AppError {
  return new AppError('internal_error', 'A stored file is missing. Restore the database from a backup.');
}

function damaged(): AppError {
  return new AppError('internal_error', 'A stored file is damaged. Restore the database from a backup.');
}
