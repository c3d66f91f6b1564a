// What no request shows: looks at the database itself, after the work has settled.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

// The binding that the server uses.
const Database = createRequire(new URL('../../server/package.json', import.meta.url))('libsql');

const SEARCHABLE = `chunks join documents on documents.id = chunks.document_id and documents.state = 'searchable'`;

/** Looks at the jobs in the database, beside the server or after it was killed. */
export function watchJobs(folder) {
  const database = new Database(join(folder, 'chatsphere.db'), { readonly: true });
  const running = database.prepare("select kind, stage, progress_done from jobs where state = 'running'");
  return {
    /** Stages that run; `following` is one only once it makes vectors. `building`: an index generation. */
    stages() {
      const jobs = running.all().filter(({ kind, progress_done: done }) => kind !== 'follow' || done > 0);
      return [...new Set(jobs.map(({ kind, stage }) => (kind === 'generation' ? 'building' : stage)))];
    },
    close: () => database.close(),
  };
}

/** Tells `report(what, detail)` of everything that is lost, doubled or unfinished in the data folder. */
export function checkDatabase(folder, report) {
  const database = new Database(join(folder, 'chatsphere.db'));
  const all = (sql, ...values) => database.prepare(sql).all(...values);
  try {
    checkRows(all, report);
    for (const generation of all('select * from index_generations')) checkGeneration(all, generation, report);
    for (const index of all('select * from lexical_indexes')) checkWords(all, index, report);
    checkCover(all, report);
    checkFiles(all, folder, report);
    const damage = all('pragma integrity_check').filter((row) => row.integrity_check !== 'ok');
    if (damage.length > 0) report('lost', `integrity: ${JSON.stringify(damage.slice(0, 3))}`);
    const orphans = all('pragma foreign_key_check');
    if (orphans.length > 0) report('doubled', `rows without owner: ${JSON.stringify(orphans.slice(0, 3))}`);
  } finally {
    database.close();
  }
}

function checkRows(all, report) {
  const checks = [
    ['doubled', `chunk_vectors where not exists (select 1 from chunks where chunks.number = chunk_number)`],
    ['doubled', `documents where not exists (select 1 from sources where sources.id = documents.source_id)`],
    ['doubled', `(select 1 from chunks group by document_id, chunk_set, position having count(*) > 1)`],
    [
      'doubled',
      `(select 1 from sources where external_key not null group by bot_id, external_key having count(*) > 1)`,
    ],
    [
      'doubled',
      `documents join sources on sources.id = source_id and status = 'ready' where documents.state = 'building'`,
    ],
    ['unfinished', `jobs where state in ('queued', 'running')`],
    ['unfinished', `jobs where state in ('failed', 'cancelled') and settled = 0`],
    ['unfinished', `index_generations where state in ('building', 'removing')`],
    ['unfinished', `leases where name like 'import/%'`],
    ['lost', `sources where job_id not null and not exists (select 1 from jobs where jobs.id = job_id)`],
    [
      'lost',
      `bots where exists (select 1 from sources where bot_id = bots.id)
         and (select count(*) from index_generations where bot_id = bots.id and state = 'active') != 1`,
    ],
    [
      'doubled',
      `(select distinct bot_id, chunk_set from chunks) as sets where not exists
         (select 1 from index_generations where bot_id = sets.bot_id and chunk_set = sets.chunk_set)`,
    ],
  ];
  for (const [what, sql] of checks) {
    const [{ found }] = all(`select count(*) as found from ${sql}`);
    if (found > 0) report(what, `${found} rows: ${sql.replace(/\s+/g, ' ')}`);
  }
}

/** Every generation that answers or may answer again is whole; behind the word table, the sentence encoder's vectors too. */
function checkGeneration(all, generation, report) {
  const { id, bot_id: bot, state, chunk_set: set } = generation;
  if (!['active', 'retired', 'ready'].includes(state)) return;
  const space = `${generation.embedding_model}@${generation.embedder_version}:${generation.dimensions}`;
  const [{ uncut }] = all(
    `select count(*) as uncut from documents where bot_id = ? and state = 'searchable' and trim(text) != ''
       and not exists (select 1 from chunks where document_id = documents.id and chunk_set = ?)`,
    bot,
    set,
  );
  if (uncut > 0) report('lost', `${uncut} documents are not cut for ${state} ${id} (${set})`);
  const lacking = (condition, value) =>
    all(
      `select count(*) as lacking from ${SEARCHABLE} where chunks.bot_id = ? and chunk_set = ?
         and not exists (select 1 from chunk_vectors where chunk_number = chunks.number and ${condition})`,
      bot,
      set,
      value,
    )[0].lacking;
  const missing = lacking('generation = ?', space);
  if (missing > 0) report('lost', `${missing} chunks have no vectors in ${state} ${id} (${space}#${set})`);
  if (state !== 'active' || !space.startsWith('local/static-en')) return;
  const behind = lacking("generation like ? || '%'", 'local/use-lite');
  if (behind > 0) report('lost', `${behind} chunks of bot ${bot} have no vectors that follow`);
}

/** The word index of a chunk set has each of its chunks, and nothing else. */
function checkWords(all, { number, bot_id: bot, chunk_set: set }, report) {
  const indexed = new Set(all(`select id from lexical_index_${number}_docsize`).map(({ id }) => id));
  const chunks = all('select number from chunks where bot_id = ? and chunk_set = ?', bot, set);
  const missing = chunks.filter((chunk) => !indexed.delete(chunk.number)).length;
  if (missing > 0) report('lost', `${missing} chunks of bot ${bot} (${set}) are not in the word index`);
  if (indexed.size > 0)
    report('doubled', `${indexed.size} entries of the word index of bot ${bot} (${set}) have no chunk`);
}

/** The chunks of a document hold all of its text but white space. */
function checkCover(all, report) {
  for (const { id, text } of all("select id, text from documents where state = 'searchable'")) {
    const ends = new Map();
    const chunks = all('select * from chunks where document_id = ? order by chunk_set, start_offset, position', id);
    for (const { chunk_set: set, start_offset: start, end_offset: end } of chunks) {
      const covered = ends.get(set) ?? 0;
      if (text.slice(covered, start).trim() !== '') report('lost', `text of ${id} (${set}) before ${start}`);
      ends.set(set, Math.max(covered, end));
    }
    for (const [set, end] of ends) if (text.slice(end).trim() !== '') report('lost', `the end of ${id} (${set})`);
  }
}

/** The files that sources are made of are there, to be trained on again. */
function checkFiles(all, folder, report) {
  for (const { id, inputs_json: inputs } of all('select id, inputs_json from sources')) {
    for (const { blobHash } of JSON.parse(inputs)) {
      const path = join(folder, 'blobs', blobHash.slice(0, 2), blobHash);
      if (!existsSync(path)) report('lost', `a file of ${id}`);
    }
  }
}
