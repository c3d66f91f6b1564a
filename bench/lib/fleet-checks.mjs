// What no request shows: looks at the PostgreSQL of several processes itself, after the work has settled.
import { createRequire } from 'node:module';

const { Client } = createRequire(new URL('../../server/package.json', import.meta.url))('pg');

const SEARCHABLE = `chunks join documents on documents.id = chunks.document_id and documents.state = 'searchable'`;

const CHECKS = [
  ['doubled', 'chunk_vectors where not exists (select 1 from chunks where chunks.number = chunk_number)'],
  ['doubled', 'documents where not exists (select 1 from sources where sources.id = documents.source_id)'],
  ['doubled', '(select 1 from chunks group by document_id, chunk_set, position having count(*) > 1) as twice'],
  [
    'doubled',
    '(select 1 from sources where external_key is not null group by bot_id, external_key having count(*) > 1) as twice',
  ],
  [
    'doubled',
    `documents join sources on sources.id = source_id and status = 'ready' where documents.state = 'building'`,
  ],
  ['lost', `${SEARCHABLE} where not exists (select 1 from chunk_vectors where chunk_number = chunks.number)`],
  ['unfinished', `jobs where state in ('queued', 'running')`],
  ['unfinished', `jobs where state in ('failed', 'cancelled') and settled = 0`],
  ['unfinished', `leases where name like 'import/%'`],
  ['unfinished', `sources where status in ('queued', 'processing')`],
];

/** Tells `report(what, detail)` of everything that is lost, doubled or unfinished. */
export async function checkPostgres(url, report) {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(`select set_config('app.tenant_id', '*', false)`);
    for (const [what, sql] of CHECKS) {
      const { rows } = await client.query(`select count(*)::int as found from ${sql}`);
      if (rows[0].found > 0) report(what, `${rows[0].found} rows: ${sql}`);
    }
    await checkFiles(client, report);
  } finally {
    await client.end();
  }
}

/** The files that sources are made of are there, whole. */
async function checkFiles(client, report) {
  const stored = new Map();
  const { rows: blobs } = await client.query(
    `select blobs.hash, bytes::int, coalesce(sum(length(content)), 0)::int as there
       from blobs left join blob_parts on blob_parts.hash = blobs.hash group by blobs.hash, bytes`,
  );
  for (const { hash, bytes, there } of blobs) stored.set(hash, bytes === there);
  const { rows: sources } = await client.query('select id, inputs_json from sources');
  for (const { id, inputs_json: inputs } of sources) {
    for (const { blobHash } of JSON.parse(inputs)) {
      if (stored.get(blobHash) !== true) report('lost', `a file of ${id}`);
    }
  }
}
