// From measured costs to processes, machines and disks. Nothing here is measured; everything is arithmetic.

/** How busy a process or a machine may be on average: the rest is for bursts. */
const MOST_BUSY = 0.6;
/** An embedded database beyond this is our guess of what one wants to back up and restore as one file. */
const LARGEST_FILE_GB = 50;
const GB = 1e9;
/** Part of a machine's memory that may hold vectors and graphs. */
const MEMORY_FOR_VECTORS = 0.5;

/** The costs that the model works with, of a report of bench/scaling.mjs and of the figures of other benchmarks. */
export function costsOf(report, other) {
  const value = (name) => other[name].value;
  return {
    questionMs: report.model_chat.cpu_ms_a_request,
    questionEngineMs: report.model_chat.engine_cpu_ms_a_request,
    searchMs: report.search.cpu_ms_a_request,
    searchEngineMs: report.search.engine_cpu_ms_a_request,
    importMs: report.bots.cpu_ms_a_bot,
    importEngineMs: report.bots.engine_cpu_ms_a_bot,
    chunkMs: report.training.cpu_ms_a_chunk,
    bytesAChunk: report.database.bytes_a_chunk,
    processMb: report.start_with_all.rss_mb,
    startMsABot: Math.max(0, report.start_with_all.ready_ms - report.first_start.ready_ms) / report.bots.bots,
    tokenMs: value('token_cpu_ms'),
    streamsAProcess: value('streams_a_process'),
    streamKb: value('stream_kb'),
    windowMs: value('window_cpu_ms'),
    windowsAChunk: value('windows_a_chunk'),
    residentVectorBytes: value('resident_vector_bytes'),
    residentVectorsMb: value('resident_vectors_mb'),
    pgvectorBytes: value('pgvector_bytes_a_vector'),
  };
}

/** What `demand` needs: bots, chunks a bot, questions a second and streams at once of so many tokens a second. */
export function planOf({ sqlite, postgres }, demand) {
  const chunks = demand.bots * demand.chunksABot;
  const busyMs = (costs) => demand.questions * costs.questionMs + demand.streams * demand.tokensASecond * costs.tokenMs;
  const diskGb = (costs) => (chunks * costs.bytesAChunk) / GB;
  const fitsOne =
    busyMs(sqlite) / 1000 <= MOST_BUSY && demand.streams <= sqlite.streamsAProcess && diskGb(sqlite) <= LARGEST_FILE_GB;
  const costs = fitsOne ? sqlite : postgres;
  const byTime = Math.ceil(busyMs(costs) / 1000 / MOST_BUSY);
  const byStreams = Math.ceil(demand.streams / costs.streamsAProcess);
  const serving = fitsOne ? 1 : Math.max(1, byTime, byStreams) + 1;
  return {
    chunks,
    engine: fitsOne ? 'SQLite' : 'PostgreSQL',
    serving,
    engineCores: Math.ceil((demand.questions * costs.questionEngineMs) / 1000 / MOST_BUSY),
    diskGb: diskGb(costs),
    vectors: chunks * costs.windowsAChunk,
    vectorsGb: (chunks * costs.windowsAChunk * costs.pgvectorBytes) / GB,
  };
}

/** What a machine carries with SQLite in one process: `cores`, `memoryGb`, `diskGb`. */
export function boxOf({ sqlite, postgres }, { cores, memoryGb, diskGb, engine }) {
  const costs = engine === 'SQLite' ? sqlite : postgres;
  // One process uses one core for this; the database's share of the machine grows with theirs.
  const busyCores = engine === 'SQLite' ? Math.min(cores, 1) * MOST_BUSY : cores * MOST_BUSY;
  const share = costs.questionMs / (costs.questionMs + (engine === 'SQLite' ? 0 : costs.questionEngineMs));
  const processes = engine === 'SQLite' ? 1 : Math.max(1, Math.round(cores * share));
  const mostChunks = (diskGb * GB * 0.7) / costs.bytesAChunk;
  const inMemory = (memoryGb * GB * MEMORY_FOR_VECTORS) / (costs.windowsAChunk * costs.pgvectorBytes);
  return {
    processes,
    questions: (busyCores * 1000) / (costs.questionMs + (engine === 'SQLite' ? 0 : costs.questionEngineMs)),
    streams: processes * costs.streamsAProcess,
    chunks: engine === 'SQLite' ? Math.min(mostChunks, (LARGEST_FILE_GB * GB) / costs.bytesAChunk) : mostChunks,
    chunksInMemory:
      engine === 'SQLite'
        ? (costs.residentVectorsMb * 1024 ** 2) / (costs.windowsAChunk * costs.residentVectorBytes)
        : inMemory,
  };
}
