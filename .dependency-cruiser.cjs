// The rooms of the server and who may import whom (ARCHITECTURE.md). Each rule is proven by server/test/house-rules.test.ts.

/** room -> the rooms it may import besides itself */
const mayImport = {
  kernel: [],
  resilience: ['kernel'],
  store: ['kernel'],
  'vector-store': ['kernel'],
  cache: ['kernel', 'resilience'],
  llm: ['kernel', 'resilience'],
  embeddings: ['kernel', 'resilience', 'cache'],
  jobs: ['kernel', 'resilience', 'store'],
  security: ['kernel', 'store', 'cache', 'jobs', 'resilience'],
  monitoring: ['kernel', 'store'],
  training: ['kernel', 'resilience', 'embeddings', 'vector-store', 'store', 'jobs', 'security', 'llm'],
  chat: ['kernel', 'resilience', 'llm', 'embeddings', 'vector-store', 'store', 'security', 'cache'],
  http: ['kernel', 'chat', 'training', 'store', 'security', 'jobs', 'monitoring', 'embeddings'],
  adapters: [
    ...['kernel', 'resilience', 'cache', 'store', 'vector-store', 'llm', 'embeddings', 'jobs', 'training'],
    // Redis fills ports of these two: streams that are kept, and limits that processes count together.
    ...['chat', 'security'],
  ],
};
mayImport.app = Object.keys(mayImport);

const source = '^server/src/';
const severity = 'error';
const test = '\\.(test|contract)\\.ts$';

const roomRules = Object.entries(mayImport).map(([room, allowed]) => ({
  name: `room-${room}`,
  severity,
  from: { path: `${source}${room}/`, pathNot: test },
  to: { path: source, pathNot: `${source}(${[room, ...allowed].join('|')})/` },
}));

module.exports = {
  forbidden: [
    ...roomRules,
    {
      name: 'front-door-only',
      severity,
      from: { path: `${source}([^/]+)/`, pathNot: test },
      to: {
        path: `${source}[^/]+/.+`,
        pathNot: [
          `${source}$1/`,
          `${source}[^/]+/index\\.ts$`,
          `${source}adapters/[^/]+/index\\.ts$`,
          `${source}http/contract/index\\.ts$`,
          `${source}training/file-kinds/index\\.ts$`,
        ],
      },
    },
    {
      name: 'adapters-only-from-app',
      severity,
      from: { path: source, pathNot: [`${source}(app|adapters)/`, test] },
      to: { path: `${source}adapters/` },
    },
    {
      name: 'no-sibling-adapter',
      severity,
      from: { path: `${source}adapters/([^/]+)/`, pathNot: test },
      to: { path: `${source}adapters/`, pathNot: `${source}adapters/$1/` },
    },
    {
      name: 'vendor-sdk-only-in-adapters',
      severity,
      from: { path: source, pathNot: [`${source}adapters/`, test] },
      to: {
        path: 'node_modules/(libsql|@libsql|pg|ioredis|bullmq|@bull-board|amqplib|@pinecone-database|@langchain|@energetic-ai|openai|ai|@ai-sdk)/',
      },
    },
    {
      // A server that was not told of LangChain.js must not load it; classes are loaded by name. Its own side is for others.
      name: 'langchain-on-demand',
      severity,
      from: { path: source, pathNot: [`${source}adapters/langchain/client/`, test] },
      to: { path: 'node_modules/@langchain/' },
    },
    {
      name: 'contract-is-a-leaf',
      severity,
      from: { path: `${source}http/contract/`, pathNot: test },
      to: { path: source, pathNot: `${source}(http/contract|kernel)/` },
    },
    { name: 'no-cycle', severity, from: {}, to: { circular: true } },
    {
      name: 'no-orphan',
      severity,
      from: { orphan: true, pathNot: ['/main-[^/]*\\.ts$', '-worker\\.ts$', '/assets/', '\\.d\\.ts$', test] },
      to: {},
    },
    { name: 'no-unresolved', severity, from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.tools.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.json'],
    },
  },
};
