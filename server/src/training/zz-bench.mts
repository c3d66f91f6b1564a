import { execSync } from 'node:child_process';
import { createReadStream, mkdtempSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { randomUUID } from 'node:crypto';
import { createExactVectorStore } from '../adapters/fakes/exact-vector-store.ts';
import { createFileBlobStore } from '../adapters/file-system/index.ts';
import { createStaticEmbedder, createUseLiteModel } from '../adapters/local-embedder/index.ts';
import { openSqlite } from '../adapters/sqlite/index.ts';
import { createEmbeddingGenerator } from '../embeddings/index.ts';
import { createJobEvents, createJobRunner, createMemoryTransport } from '../jobs/index.ts';
import { createIdMaker, silentLogger, silentMeter, systemClock as clock } from '../kernel/index.ts';
import { createDocumentParser, createTrainer, createTrainingHandler } from './index.ts';
const folder = mkdtempSync('/tmp/bench-');
const logger = { ...silentLogger, warn: console.log, error: console.log };
const { store, wordVectorCache } = openSqlite({ file: folder + '/db.sqlite', clock, logger });
await store.start();
const blobs = createFileBlobStore({ folder: folder + '/blobs' });
const teacher = createUseLiteModel({});
const embedder = createStaticEmbedder({ wordVectors: wordVectorCache, teacher, clock, logger });
const embeddings = createEmbeddingGenerator({ embedder, clock, meter: silentMeter, logger, random: Math.random });
const vectors = createExactVectorStore();
const parser = createDocumentParser();
const transport = createMemoryTransport();
const events = createJobEvents({ store, clock } as any);
const createId = createIdMaker(clock.now);
const trainer = createTrainer({ store, blobs, announce: (id) => transport.announce(id), vectors, generation: embeddings.generation, clock, createId });
const handler = createTrainingHandler({ store, blobs, parser, embeddings, vectors, clock, logger: silentLogger });
const runner = createJobRunner({ store, transport, handlers: [handler], events, clock, logger: silentLogger, meter: silentMeter, owner: 'x', concurrency: 2 });
await transport.start(); await runner.start(); await embedder.start();
await store.tenants.create({ id: 'tnt_1', name: 'T', createdAt: 1, updatedAt: 1 });
const bot: any = { id: createId('bot'), tenantId: 'tnt_1', name: 'B', slug: 'b', instructions: null, model: null, temperature: null, maxOutputTokens: null, refusalMessage: null, retrieval: {}, privacy: { pii: 'off' }, metadata: {}, createdAt: 1, updatedAt: 1 };
await store.forTenant('tnt_1').bots.create(bot);
const files = execSync('find /work/shared/data/handbook/pages -type f').toString().trim().split('\n').sort();
const delay = monitorEventLoopDelay({ resolution: 5 }); delay.enable();
let peak = 0; const timer = setInterval(() => { peak = Math.max(peak, process.memoryUsage().rss); }, 20);
const t0 = performance.now(); const at = () => Math.round(performance.now() - t0);
let refused = 0;
const one = async (f: string) => { try { await trainer.put(bot, f, { content: { type: 'file', files: (async function* () { yield { name: f, mediaType: '', content: createReadStream(f) }; })() } }); } catch (e: any) { refused++; } };
if (process.argv[2] === 'one') { await trainer.add(bot, { type: 'file', files: (async function* () { for (const f of files) yield { name: f.slice(33), mediaType: '', content: createReadStream(f) }; })() }, {}); }
else { const q = [...files]; await Promise.all(Array.from({ length: 4 }, async () => { for (let f = q.shift(); f; f = q.shift()) await one(f); })); }
console.log('uploaded', at(), 'refused', refused);
let words = 0, ready = 0;
for (;;) {
  const all: any[] = []; let after: string | undefined; for (;;) { const p = await store.forTenant('tnt_1').sources.list(bot.id, { limit: 100, order: 'asc', ...(after ? { after } : {}) }); all.push(...p.items); if (!p.hasMore) break; after = p.items.at(-1)!.id; }
  if (!words && all.every((s) => s.stage !== 'loading')) words = at();
  if (all.every((s) => ['ready', 'partial', 'failed'].includes(s.status))) { ready = at(); console.log(all.length, 'sources', 'words', words, 'ready', ready, JSON.stringify(all.slice(-1)[0].counts), all.filter((s) => s.status !== 'ready').map((s) => [s.status, s.lastError])); break; }
  await new Promise((r) => setTimeout(r, 100));
}
console.log('peak rss', Math.round(peak / 1e6), 'loop max ms', Math.round(delay.max / 1e6), 'p99', Math.round(delay.percentile(99) / 1e6));
clearInterval(timer); await runner.stop(); await transport.stop(); await parser.stop(); await teacher.stop?.(); await store.stop(); process.exit(0);
