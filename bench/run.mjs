// Runs every benchmark and writes docs/benchmarks.md.
//   npm run bench -- --data FOLDER [--kills 30] [--damaged 2000] [--mixed-mb 0]
// FOLDER has handbook/pages, retrieval/{adocs,xquad}, chunking and documents. A bar that is missed is shown, not hidden.
import { execFile } from 'node:child_process';
import { access, readFile, writeFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';

const run = promisify(execFile);
const { values } = parseArgs({
  options: {
    data: { type: 'string', default: process.env.CHATSPHERE_BENCH_DATA ?? '' },
    kills: { type: 'string', default: '30' },
    damaged: { type: 'string', default: '2000' },
    'mixed-mb': { type: 'string', default: '0' },
  },
});
if (values.data === '') {
  console.error(
    'Say where the data is: npm run bench -- --data FOLDER (with handbook/pages, retrieval/{adocs,xquad} and documents).',
  );
  process.exit(2);
}

async function bench(script, args) {
  return JSON.parse(await outputOf(script, args));
}

async function outputOf(script, args) {
  console.error(`running ${script} ...`);
  const command = [fileURLToPath(new URL(script, import.meta.url)), ...args];
  const { stdout } = await run(process.execPath, command, { maxBuffer: 64 * 1024 * 1024 }).catch((error) => {
    // A bar that was missed belongs on the page, too.
    if (error.code === 1 && error.stdout.startsWith('{')) return error;
    throw error;
  });
  return stdout;
}

const handbook = await bench('./handbook.mjs', ['--pages', join(values.data, 'handbook/pages')]);
const sync = await bench('./sync.mjs', ['--pages', join(values.data, 'handbook/pages')]);
const collections = [];
for (const name of ['adocs', 'xquad']) {
  const folder = join(values.data, 'retrieval', name);
  await access(folder);
  collections.push({ name, ...(await bench('./retrieval.mjs', ['--data', folder, '--json'])) });
}
const documents = await bench('./documents.mjs', ['--data', join(values.data, 'documents'), '--json']);
const chunking = (await outputOf('./chunking.mjs', ['--data', join(values.data, 'chunking'), '--json']))
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));
const generations = await bench('./generations.mjs', []);
const damaged = await bench('./fuzz.mjs', [
  ...['--files', join(values.data, 'documents'), '--count', values.damaged, '--json'],
]);
const mixed = values['mixed-mb'] === '0' ? null : await bench('./mixed-files.mjs', ['--mb', values['mixed-mb']]);
const kills = await bench('./kill.mjs', ['--kills', values.kills]);

const { training, meanwhile, search, answers } = handbook;
const row = (what, bar, measured) => `| ${what} | ${bar} | ${measured} |`;
const page = `# Benchmarks

Written by \`npm run bench -- --data FOLDER\` on ${new Date().toISOString().slice(0, 10)}: ${cpus().length} cores (${cpus()[0]?.model.trim()}), ${Math.round(totalmem() / 1024 ** 3)} GiB, Linux ${release()}, Node.js ${process.version}.
The machine is shared, so single times swing; quality figures do not.

| what | bar | measured |
|---|---|---|
${[
  row('start to `/ready`', '<= 5 s', `${(handbook.ready_ms / 1000).toFixed(2)} s`),
  row('idle memory (RSS) with the demo bot trained', '<= 250 MB', `${handbook.idle_rss_mb} MB`),
  row('demo bot answers about ChatSphere with a citation', 'yes', `${handbook.demo.citations} citation(s)`),
  row(
    `handbook, ${training.pages} pages: ready / refused as empty`,
    '238 / 8',
    `${training.ready} / ${training.refused.empty_content ?? 0}`,
  ),
  row('searchable by words', '<= 3 s', `${(training.searchable_ms / 1000).toFixed(2)} s`),
  row(
    'all ready (processor time)',
    '<= 15 s',
    `${(training.ready_ms / 1000).toFixed(2)} s (${training.ready_cpu_s} s)`,
  ),
  row('vectors of the sentence encoder behind it', '<= 150 s', `${(training.followed_ms / 1000).toFixed(0)} s`),
  row('peak memory (RSS)', '<= 500 MB', `${training.peak_rss_mb} MB`),
  row(
    '`GET /health` meanwhile, slowest (median)',
    '<= 100 ms',
    `${training.health_ms.max} ms (${training.health_ms.p50} ms)`,
  ),
  row(
    'handbook again, unchanged: texts embedded / share of the first time',
    '0 / <= 5 %',
    `${sync.unchanged.embedded_texts} / ${(sync.unchanged.share_of_first * 100).toFixed(1)} %`,
  ),
  row(
    `handbook after ${sync.one_percent.edits} edits (1 %): share of the chunks embedded`,
    '<= 2 %',
    `${(sync.one_percent.share_of_chunks * 100).toFixed(1)} %`,
  ),
  row('search while they are made, median (p95)', '', `${meanwhile.p50_ms} ms (${meanwhile.p95_ms} ms)`),
  row('search, median (p95)', '<= 15 ms', `${search.p50_ms} ms (${search.p95_ms} ms)`),
  row('extractive answer, median (p95)', '<= 150 ms', `${answers.p50_ms} ms (${answers.p95_ms} ms)`),
  row(`${answers.asked} questions: cite the right page`, '>= 17', `${answers.cite_the_page}`),
  row('quotes that are exact parts of the stored text', 'all', `${answers.quotes_verified} of ${answers.quotes}`),
  row('off-topic questions declined', '', answers.off_topic_declined),
  ...collections.map(({ name, ...result }) =>
    row(
      `nDCG@10 ${name} over the search route`,
      name === 'adocs' ? '>= 0.775' : '>= 0.972',
      `${result.ndcg_at_10.toFixed(4)} (${result.before.ndcg_at_10.toFixed(4)} before the encoder's vectors)`,
    ),
  ),
  row(
    'files of many formats that end `ready` or with the right reason',
    'all',
    `${documents.as_expected} of ${documents.files}`,
  ),
  row(`words of ${documents.compared} expected texts found, least`, '>= 0.95', documents.least_word_recall.toFixed(4)),
  row(
    'rows of their tables with the cells in order',
    'all',
    `${documents.table_rows_in_order} of ${documents.table_rows}`,
  ),
  ...chunking.map(({ max_characters, questions, recall, iou }) =>
    row(
      `${questions} questions with reference excerpts, 5 passages of at most ${max_characters} characters: recall / IoU`,
      max_characters > 4_000 ? '>= 0.93 / 0.033' : '>= 0.86 / 0.060',
      `${recall.toFixed(4)} / ${iou.toFixed(4)}`,
    ),
  ),
  row(
    `another embedder under load, ${generations.questions} questions: failed / by words alone`,
    '0 / 0',
    `${generations.failed} / ${generations.answered_by_words_alone}`,
  ),
  row(
    'swap / roll back of index generations, worst',
    '< 1 s',
    `${generations.swap_ms.worst} ms / ${generations.rollback_ms.worst} ms`,
  ),
  row(
    `${damaged.rounds} damaged files: crashes / hangs / growth of memory`,
    '0 / 0 / <= 300 MB',
    `${damaged.crashes} / ${damaged.hangs} / ${damaged.rss_growth_mb} MB`,
  ),
  ...(mixed === null
    ? []
    : [
        row(
          `${mixed.megabytes} MB of mixed files in ${mixed.files} sources: growth of memory`,
          '<= 400 MB',
          `${mixed.rss_growth_mb} MB in ${mixed.total_s} s`,
        ),
      ]),
  row(
    `kill -9 at ${kills.kills} random moments of mixed work: lost / doubled / unfinished / come back`,
    '0 / 0 / 0 / 0',
    `${kills.lost} / ${kills.doubled} / ${kills.unfinished} / ${kills.resurrected}`,
  ),
].join('\n')}

Retrieval in full:

| collection | documents | queries | nDCG@10 | Hit@5 | MRR@10 | search p50 |
|---|---|---|---|---|---|---|
${collections.map((c) => `| ${c.name} | ${c.documents} | ${c.queries} | ${c.ndcg_at_10.toFixed(4)} | ${c.hit_at_5.toFixed(4)} | ${c.mrr_at_10.toFixed(4)} | ${c.p50_ms.toFixed(1)} ms |`).join('\n')}
`;
const file = new URL('../docs/benchmarks.md', import.meta.url);
// What other programs measure stands at the end, and stays.
const kept = (await readFile(file, 'utf8'))
  .split(/^(?=## )/m)
  .slice(1)
  .join('');
await writeFile(file, kept === '' ? page : `${page}\n${kept}`);
console.log(page);
