import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { type Kysely, sql } from 'kysely';
import type { HeldFiles, Schema } from '../../store/index.ts';

/** Reads the uploaded files in the database of a snapshot: they stay as long as it does. */
export function openStoredBlobs(database: Kysely<Schema>): Pick<HeldFiles, 'open'> {
  let there: Promise<boolean> | null = null;
  return {
    async open(hash) {
      there ??= hasBlobs(database);
      if (!(await there)) return null;
      const checked = createHash('sha256');
      let bytes = 0;
      for await (const part of partsOf(database, hash)) {
        checked.update(part);
        bytes += part.length;
      }
      if (checked.digest('hex') !== hash) return null;
      return { bytes, content: Readable.from(partsOf(database, hash), { objectMode: false }) };
    },
  };
}

/** Removes all uploaded files from a database that is emptied. */
export async function removeStoredBlobs(database: Kysely<Schema>): Promise<void> {
  if (await hasBlobs(database)) await sql`delete from blobs`.execute(database);
}

async function hasBlobs(database: Kysely<Schema>): Promise<boolean> {
  const { rows } = await sql<{ there: number }>`select 1 as there from pg_class
    where relname = 'blobs' and relnamespace = current_schema()::regnamespace`.execute(database);
  return rows.length > 0;
}

async function* partsOf(database: Kysely<Schema>, hash: string): AsyncGenerator<Buffer> {
  for (let position = 0; ; position += 1) {
    const { rows } = await sql<{ content: Uint8Array }>`select content from blob_parts
      where hash = ${hash} and position = ${position}`.execute(database);
    const part = rows[0]?.content;
    if (part === undefined) return;
    yield Buffer.from(part);
  }
}
