import type { Kysely } from 'kysely';
import type { SourceInput } from './entities.ts';
import { readJson } from './json-columns.ts';
import type { Schema } from './schema.ts';

const SOURCES_PER_BATCH = 500;
const PAGES_PER_BATCH = 5_000;

/** The hashes of all blobs that sources and their pages speak of. */
export async function findBlobsInUse(database: Kysely<Schema>): Promise<Set<string>> {
  const hashes = new Set<string>();
  for await (const found of hashesOfPages(database)) {
    for (const hash of found) hashes.add(hash);
  }
  for await (const rows of inputsOfSources(database)) {
    for (const { blobHash } of rows) hashes.add(blobHash);
  }
  return hashes;
}

async function* inputsOfSources(database: Kysely<Schema>): AsyncGenerator<readonly SourceInput[]> {
  let last = 0;
  for (;;) {
    const rows = await database
      .selectFrom('sources')
      .select(['number', 'inputs_json'])
      .where('number', '>', last)
      .orderBy('number')
      .limit(SOURCES_PER_BATCH)
      .execute();
    yield rows.flatMap((row) => readJson<SourceInput[]>(row.inputs_json));
    if (rows.length < SOURCES_PER_BATCH) return;
    last = rows.at(-1)?.number ?? last;
  }
}

async function* hashesOfPages(database: Kysely<Schema>): AsyncGenerator<readonly string[]> {
  let last = 0;
  for (;;) {
    const rows = await database
      .selectFrom('source_pages')
      .select(['number', 'blob_hash'])
      .where('number', '>', last)
      .where('blob_hash', 'is not', null)
      .orderBy('number')
      .limit(PAGES_PER_BATCH)
      .execute();
    yield rows.flatMap((row) => (row.blob_hash === null ? [] : [row.blob_hash]));
    if (rows.length < PAGES_PER_BATCH) return;
    last = rows.at(-1)?.number ?? last;
  }
}
