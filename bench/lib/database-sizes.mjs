// How much space the tables of search take, indexes and moved-out values with them.
import { createRequire } from 'node:module';

const { Client } = createRequire(new URL('../../server/package.json', import.meta.url))('pg');
const TABLES = ['chunks', 'chunk_vectors', 'lexical_chunks', 'lexical_words', 'vector_windows'];

/** Megabytes by table; of `vector_windows`, its graphs by themselves. */
export async function databaseSizes(url) {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query(
      `select relname as name, pg_total_relation_size(oid) as bytes from pg_class where relname = any($1)
       union all select 'vector_graphs', coalesce(sum(pg_relation_size(indexrelid)), 0) from pg_index
       where indexrelid::regclass::text like 'vector_graph_%'`,
      [TABLES],
    );
    return Object.fromEntries(rows.map(({ name, bytes }) => [name, Math.round(Number(bytes) / 1e5) / 10]));
  } finally {
    await client.end();
  }
}
