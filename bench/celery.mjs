// Tasks between Python's Celery and this server, both ways, over Redis and RabbitMQ. Whoever does them is killed with SIGKILL and begun
// anew, several times; each task must have its result. Prints one JSON object; exit 1 when a task was lost. `sentAgain`: tasks that workers
// in Python lost. Needs redis-server, rabbitmq-server, python3-celery and python3-redis of Debian.
//   node bench/celery.mjs --tasks 1000 --kills 5
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openCelery } from '../server/dist/adapters/celery/index.js';
import { silentLogger, systemClock } from '../server/dist/kernel/index.js';
import { startRabbit, startRedis } from './lib/brokers.mjs';

const { values } = parseArgs({
  options: { tasks: { type: 'string', default: '1000' }, kills: { type: 'string', default: '5' } },
});
const [TASKS, KILLS] = [Number(values.tasks), Number(values.kills)];
/** How many results there are when somebody is killed. */
const TURNS = Array.from({ length: KILLS }, (_, kill) => Math.ceil((TASKS * (kill + 1)) / (KILLS + 1)));
const PYTHON = '/usr/bin/python3';
const PEER = fileURLToPath(new URL('../server/test/celery/', import.meta.url));
const CONSUMER = fileURLToPath(new URL('./lib/celery-consumer.mjs', import.meta.url));
/** Of a dead worker's messages in Redis: Python's is an hour unless it is told. */
const VISIBILITY_SECONDS = 5;
/** After which a task that no worker has is sent again. */
const SILENCE_MS = 10_000;
const RESULT_SECONDS = 600;
const LOOK_MS = 10;

/** Sends all, says so, then says of each whether its result came and is right. */
const ASKING = `
import sys
from tasks import app
n, timeout = int(sys.argv[1]), int(sys.argv[2])
sent = [app.send_task("bench.square", args=[i], queue="bench") for i in range(n)]
print("sent", flush=True)
for i, result in enumerate(sent):
    try:
        print("ok" if result.get(timeout=timeout) == i * i else "wrong", flush=True)
    except Exception as error:
        print("lost", error, flush=True)
`;

function start(command, args, { broker, backend }) {
  const env = {
    ...{ PATH: process.env.PATH, BROKER: broker, BACKEND: backend, C_FORCE_ROOT: '1', PYTHONDONTWRITEBYTECODE: '1' },
    ...{ NEWS_FILE: '/dev/null', VISIBILITY_TIMEOUT: String(VISIBILITY_SECONDS) },
  };
  return spawn(command, args, { cwd: PEER, env, stdio: ['ignore', 'pipe', 'pipe'] });
}

async function killed(child) {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function fromPython(address) {
  const consume = async () => {
    const child = start(process.execPath, [CONSUMER], address);
    child.stderr.pipe(process.stderr);
    await once(child.stdout, 'data');
    return child;
  };
  const begunAt = performance.now();
  const counts = { ok: 0, wrong: 0, lost: 0 };
  const asking = start(PYTHON, ['-c', ASKING, String(TASKS), String(RESULT_SECONDS)], address);
  let consumer = await consume();
  let kills = 0;
  for await (const line of createInterface({ input: asking.stdout })) {
    const [word] = line.split(' ');
    if (word in counts) counts[word] += 1;
    if (counts.ok >= TURNS[kills]) {
      kills += 1;
      await killed(consumer);
      consumer = await consume();
    }
  }
  await killed(consumer);
  return { ...counts, lost: TASKS - counts.ok - counts.wrong, kills, seconds: secondsSince(begunAt) };
}

async function toPython(address) {
  const work = async () => {
    const args = ['-m', 'celery', '-A', 'tasks', 'worker', '-P', 'solo', '-l', 'info', '-Q', 'python'];
    const child = start(PYTHON, [...args, '--without-gossip', '--without-mingle', '--without-heartbeat'], address);
    await new Promise((resolve) => {
      let log = '';
      child.stderr.on('data', (part) => {
        // The line may come with more lines of tasks than are kept.
        log += part;
        if (log.includes(' ready.')) resolve();
        log = log.slice(-100);
      });
    });
    return child;
  };
  const settings = { brokerUrl: address.broker, resultBackend: address.backend, resultExpireSeconds: 600 };
  let sentAgain = 0;
  const warn = (_fields, message) => {
    if (message.includes('lost by its worker')) sentAgain += 1;
  };
  const logger = { ...silentLogger, warn };
  const celery = openCelery({ settings, clock: systemClock, logger, silenceMs: SILENCE_MS });
  await celery.start();
  let worker = await work();
  const begunAt = performance.now();
  const counts = { ok: 0, wrong: 0 };
  const all = Promise.all(
    Array.from({ length: TASKS }, async (_, index) => {
      const sent = await celery.client.sendTask('py.add', { queue: 'python', args: [index, index] });
      const value = await sent.result(AbortSignal.timeout(RESULT_SECONDS * 1_000)).catch(() => null);
      if (value === index * 2) counts.ok += 1;
      else if (value !== null) counts.wrong += 1;
    }),
  );
  for (const turn of TURNS) {
    while (counts.ok < turn) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    await killed(worker);
    worker = await work();
  }
  await all;
  await killed(worker);
  await celery.stop();
  return { ...counts, lost: TASKS - counts.ok - counts.wrong, kills: KILLS, sentAgain, seconds: secondsSince(begunAt) };
}

const secondsSince = (begunAt) => Math.round((performance.now() - begunAt) / 100) / 10;

const report = { tasks: TASKS };
for (const [name, open] of [
  ['redis', startRedis],
  ['rabbitmq', startRabbit],
]) {
  const server = await open();
  const address = { broker: server.url, backend: name === 'redis' ? server.url : 'rpc://' };
  console.error(`${name}: from Python ...`);
  const fromIt = await fromPython(address);
  console.error(`${name}: to Python ...`);
  report[name] = { fromPython: fromIt, toPython: await toPython(address) };
  await server.stop();
}
const runs = [report.redis, report.rabbitmq].flatMap(({ fromPython: one, toPython: other }) => [one, other]);
report.missed = runs.some(({ ok, kills }) => ok !== TASKS || kills < KILLS)
  ? ['a task was lost, or not all were killed']
  : [];
console.log(JSON.stringify(report, null, 2));
process.exit(report.missed.length === 0 ? 0 : 1);
