// The tables of docs/scaling.md, made of the reports of bench/scaling.mjs.
import { boxOf, costsOf, planOf } from './scaling-model.mjs';

const BOXES = [
  { name: '2 cores, 4 GB', cores: 2, memoryGb: 4, diskGb: 40, engine: 'SQLite' },
  { name: '4 cores, 16 GB', cores: 4, memoryGb: 16, diskGb: 200, engine: 'PostgreSQL' },
  { name: '8 cores, 32 GB', cores: 8, memoryGb: 32, diskGb: 500, engine: 'PostgreSQL' },
  { name: '16 cores, 64 GB', cores: 16, memoryGb: 64, diskGb: 1_000, engine: 'PostgreSQL' },
];
const QUESTIONS_A_BOT_AND_HOUR = 1;
/** Streams at once for each question a second: they last so many seconds. */
const SECONDS_A_STREAM = 10;
const TOKENS_A_SECOND = 20;
const FLEETS = [1_000, 10_000, 100_000, 1_000_000];

/** By the name of the marked part of the page. `reports`: of SQLite and of PostgreSQL. */
export function renderParts({ sqlite, postgres }, other) {
  const costs = { sqlite: costsOf(sqlite, other), postgres: costsOf(postgres, other) };
  return {
    measured: measuredTable([sqlite, postgres]),
    costs: costsTable([sqlite, postgres], other),
    boxes: boxesTable(costs),
    fleets: fleetsTable(costs),
  };
}

function measuredTable(reports) {
  const times = ({ requests, p50_ms: p50, p95_ms: p95 }) =>
    requests === 0 ? 'none' : `${figure(p50)} / ${figure(p95)}`;
  const rows = [
    [
      'date; load of the machine, before and after',
      ({ date, machine }) => `${date.slice(0, 10)}; ${machine.load_before[0]}, ${machine.load_after[0]}`,
    ],
    [
      'processor, Node.js, engine',
      ({ machine, engine_version: version }) =>
        `${machine.cores} cores (${machine.processor}), ${machine.node}, ${version}`,
    ],
    ['bots, of them large; chunks', ({ bots }) => `${whole(bots.bots)}, ${bots.large}; ${whole(bots.chunks)}`],
    ['imported bots a second, four at once', ({ bots }) => figure(bots.bots_a_second)],
    [
      'import of a small bot, first and last tenth, p50',
      ({ bots }) => `${figure(bots.import_ms_of_small.first_tenth)}, ${figure(bots.import_ms_of_small.last_tenth)} ms`,
    ],
    [
      'start until `/ready` with all bots; the first, with none',
      (report) => `${seconds(report.start_with_all.ready_ms)}; ${seconds(report.first_start.ready_ms)}`,
    ],
    [
      'a small new bot among all, made, trained and ready',
      (report) => `${seconds(report.new_bot_among_all.small.ready_ms)}`,
    ],
    [
      'mixed: 70 % chats, 25 % searches, 5 % new sources, failures',
      ({ mixed }) => `${mixed.failures} of ${mixed.chat.requests + mixed.search.requests + mixed.train.requests}`,
    ],
    ['mixed: chats, p50 / p95 ms', ({ mixed }) => times(mixed.chat)],
    ['mixed: searches', ({ mixed }) => times(mixed.search)],
    ['mixed: a source that is taken (not yet trained)', ({ mixed }) => times(mixed.train)],
    [
      'mixed: the 1 % of bots most asked / all others',
      ({ mixed }) =>
        `${times(mixed[Object.keys(mixed).find((name) => name.startsWith('hot_bots'))])}; ${times(mixed.other_bots)}`,
    ],
    [
      'mixed: a cold bot (first time since the start) / a warm one',
      ({ mixed }) => `${times(mixed.cold)}; ${times(mixed.warm)}`,
    ],
    ['searches alone, p50 / p95 ms', ({ search }) => times(search.search)],
    ['extractive answers, p50 / p95 ms', (report) => times(report.extractive_chat.chat)],
    [
      'each bot searched once, in a row: p50 / p95 ms; failures',
      ({ each_bot_once: walk }) => `${times(walk.all)}; ${walk.failures}`,
    ],
    ['memory meanwhile, by quarter (RSS, MB)', ({ each_bot_once: walk }) => walk.rss_mb_by_quarter.join(', ')],
    [
      'the last 100 of them again / the first 100',
      ({ each_bot_once: walk }) => `${times(walk.last_100_again)}; ${times(walk.first_100_again)}`,
    ],
    [
      'most memory of the server; of PostgreSQL, of Redis (MB)',
      ({ memory }) => [memory.peak_rss_mb, memory.postgres_rss_mb, memory.redis_mb].map((mb) => mb ?? '-').join('; '),
    ],
    [
      'a page of 100 bots; removal of a bot',
      ({ lists, removal }) => `${figure(lists.first_page_of_bots.ms)} ms; ${figure(removal.ms)} ms`,
    ],
    [
      'processor time of 15 idle seconds; of the 15 after a removal',
      ({ removal }) => `${figure(removal.idle_cpu_ms)} ms; ${figure(removal.cpu_ms)} ms`,
    ],
    ['database', ({ database }) => `${whole(database.mb)} MB`],
  ];
  return table(
    ['what', ...reports.map(({ engine }) => engine)],
    rows.map(([name, cell]) => [name, ...reports.map(cell)]),
  );
}

function costsTable(reports, other) {
  const both = (own, engine) => (report) =>
    engine(report) === 0 ? `${figure(own(report))} ms` : `${figure(own(report))} ms + ${figure(engine(report))} ms`;
  const rows = [
    [
      'question with search, answered by a model in 64 tokens',
      both(
        ({ model_chat: chat }) => chat.cpu_ms_a_request,
        ({ model_chat: chat }) => chat.engine_cpu_ms_a_request,
      ),
    ],
    [
      'question with search, extractive',
      both(
        ({ extractive_chat: chat }) => chat.cpu_ms_a_request,
        ({ extractive_chat: chat }) => chat.engine_cpu_ms_a_request,
      ),
    ],
    [
      'search',
      both(
        ({ search }) => search.cpu_ms_a_request,
        ({ search }) => search.engine_cpu_ms_a_request,
      ),
    ],
    [
      'import of a bot',
      both(
        ({ bots }) => bots.cpu_ms_a_bot,
        ({ bots }) => bots.engine_cpu_ms_a_bot,
      ),
    ],
    ['chunk that is trained, word table', ({ training }) => `${figure(training.cpu_ms_a_chunk)} ms`],
    ['chunk on disk, with vectors and words', ({ database }) => `${whole(database.bytes_a_chunk)} bytes`],
  ];
  const own = rows.map(([name, cell]) => [name, ...reports.map(cell), '`bench/scaling.mjs`']);
  const others = [
    ['question without search, JSON of 16 tokens', `${other.json_chat_cpu_ms.value} ms`, other.json_chat_cpu_ms.from],
    [
      'question without search, stream of 64 tokens',
      `${other.stream_chat_cpu_ms.value} ms`,
      other.stream_chat_cpu_ms.from,
    ],
    ['token of a stream among 1,000', `${other.token_cpu_ms.value} ms`, other.token_cpu_ms.from],
    ['memory of a stream', `${other.stream_kb.value} KB`, other.stream_kb.from],
    ['window of the sentence encoder', `${other.window_cpu_ms.value} ms`, other.window_cpu_ms.from],
    ['vector in pgvector', `${whole(other.pgvector_bytes_a_vector.value)} bytes`, other.pgvector_bytes_a_vector.from],
    [
      'vector in memory (`embedded`)',
      `${whole(other.resident_vector_bytes.value)} bytes`,
      other.resident_vector_bytes.from,
    ],
  ].map(([name, cost, from]) => [name, cost, cost, from]);
  return table(
    ['processor time (server + database), memory or disk of a', ...reports.map(({ engine }) => engine), 'measured by'],
    [...own, ...others],
  );
}

function boxesTable(costs) {
  const rows = BOXES.map((box) => {
    const { processes, questions, streams, chunks, chunksInMemory } = boxOf(costs, box);
    return [
      `${box.name}, ${box.diskGb} GB disk`,
      box.engine,
      String(processes),
      figure(questions),
      whole(streams),
      short(chunks),
      short(chunksInMemory),
      short(chunks / 10),
    ];
  });
  return table(
    [
      'machine',
      'database',
      'processes that serve',
      'questions a second',
      'streams at once',
      'chunks on disk',
      'chunks whose vectors fit in memory',
      'bots of 10 chunks',
    ],
    rows,
  );
}

function fleetsTable(costs) {
  const rows = FLEETS.map((bots) => {
    const questions = (bots * QUESTIONS_A_BOT_AND_HOUR) / 3_600;
    const streams = Math.ceil(questions * SECONDS_A_STREAM);
    const plan = planOf(costs, { bots, chunksABot: 10, questions, streams, tokensASecond: TOKENS_A_SECOND });
    return [
      whole(bots),
      short(plan.chunks),
      figure(questions),
      whole(streams),
      `${figure(plan.diskGb)} GB`,
      short(plan.vectors),
      plan.engine === 'SQLite'
        ? 'one process, SQLite'
        : `${plan.serving} processes that serve, PostgreSQL with ${plan.engineCores} core${plan.engineCores === 1 ? '' : 's'}, Redis`,
    ];
  });
  return table(['bots', 'chunks', 'questions/s', 'streams at once', 'disk', 'vectors', 'what to run'], rows);
}

/** As the formatter leaves tables: columns of equal width. */
function table(head, rows) {
  const widths = head.map((_, column) => Math.max(3, ...[head, ...rows].map((row) => row[column].length)));
  const line = (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`;
  return [line(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line)].join('\n');
}

function figure(value) {
  if (value >= 100) return whole(value);
  return String(Number(value.toPrecision(2)));
}

function seconds(milliseconds) {
  return `${figure(milliseconds / 1000)} s`;
}

function whole(value) {
  return Math.round(value).toLocaleString('en-US');
}

function short(value) {
  return value >= 1e6 ? `${figure(value / 1e6)} million` : whole(Number(value.toPrecision(2)));
}
