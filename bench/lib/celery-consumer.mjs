// A worker of ours on the queue `bench`, to be killed: BROKER and BACKEND say where.
import { createTaskServer, openCelery } from '../../server/dist/adapters/celery/index.js';
import { silentLogger, silentMeter, systemClock } from '../../server/dist/kernel/index.js';

const settings = { brokerUrl: process.env.BROKER, resultBackend: process.env.BACKEND, resultExpireSeconds: 600 };
const parts = { clock: systemClock, logger: silentLogger };
const celery = openCelery({ settings, ...parts, leaseMs: 2_000 });
await celery.start();
const handlers = new Map([['bench.square', async ({ args: [number] }) => number * number]]);
const { broker, results } = celery;
const server = createTaskServer({ ...parts, broker, results, queue: 'bench', handlers, meter: silentMeter });
await server.start();
process.stdout.write('ready\n');
