// Announcements of jobs a second through BullMQ, from one process to another queue's end in the same one, with a Redis of its own. Prints one
// JSON object; exit 1 when an announcement was not heard.
//   node bench/announcements.mjs --jobs 5000
import { parseArgs } from 'node:util';
import { createBullMqTransport, openBullMq } from '../server/dist/adapters/bullmq/index.js';
import { silentLogger, silentMeter } from '../server/dist/kernel/index.js';
import { startRedis } from './lib/brokers.mjs';

const { values } = parseArgs({ options: { jobs: { type: 'string', default: '5000' } } });
const JOBS = Number(values.jobs);
const AT_ONCE = 100;
const LIMIT_MS = 120_000;

const redis = await startRedis();
const open = async () => {
  const settings = { url: redis.url, prefix: 'bench:', timeoutMs: 5_000 };
  const queue = openBullMq({ settings, logger: silentLogger, meter: silentMeter });
  const transport = createBullMqTransport({ queue, meter: silentMeter });
  await transport.start();
  return transport;
};
const [sender, taker] = [await open(), await open()];
const heard = new Set();
let hasAll = () => {};
const all = new Promise((resolve) => {
  hasAll = resolve;
});
taker.subscribe((jobId) => {
  heard.add(jobId);
  if (heard.size === JOBS) hasAll();
});
const begunAt = performance.now();
let next = 0;
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    while (next < JOBS) {
      next += 1;
      await sender.announce(`job_${next}`);
    }
  }),
);
const sentMs = performance.now() - begunAt;
await Promise.race([all, new Promise((resolve) => setTimeout(resolve, LIMIT_MS).unref())]);
const tookMs = performance.now() - begunAt;
await Promise.all([sender.stop(), taker.stop()]);
await redis.stop();
const perSecond = (milliseconds) => Math.round((JOBS / milliseconds) * 1_000);
const report = { jobs: JOBS, heard: heard.size, sentPerSecond: perSecond(sentMs), heardPerSecond: perSecond(tookMs) };
console.log(JSON.stringify(report, null, 2));
process.exit(heard.size === JOBS ? 0 : 1);
