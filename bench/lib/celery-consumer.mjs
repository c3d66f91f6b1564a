// A worker of ours, to be killed: BROKER, BACKEND and QUEUE (`bench`) say where. With DIE_AFTER it kills itself within some
// milliseconds when it has begun so many tasks.
import { createTaskServer, openCelery } from '../../server/dist/adapters/celery/index.js';
import { silentLogger, silentMeter, systemClock } from '../../server/dist/kernel/index.js';

const DIES_WITHIN_MS = 5;
const { BROKER, BACKEND, QUEUE = 'bench', DIE_AFTER = 'Infinity' } = process.env;
const settings = { brokerUrl: BROKER, resultBackend: BACKEND, resultExpireSeconds: 600 };
const parts = { clock: systemClock, logger: silentLogger };
const celery = openCelery({ settings, ...parts, leaseMs: 2_000 });
await celery.start();
let begun = 0;

async function square({ args: [number] }) {
  begun += 1;
  if (begun === Number(DIE_AFTER)) {
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), Math.random() * DIES_WITHIN_MS);
  }
  return number * number;
}

const handlers = new Map([['bench.square', square]]);
const { broker, results } = celery;
const server = createTaskServer({ ...parts, broker, results, queue: QUEUE, handlers, meter: silentMeter });
await server.start();
process.stdout.write('ready\n');
