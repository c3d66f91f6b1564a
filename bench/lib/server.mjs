// Starts the built server on a folder of its own and watches its memory.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../server/dist/app/main-cli.js', import.meta.url));

const SAMPLE_MS = 100;

/** An admin key of the benchmark's own, so that no output has to be read for it. */
export const BENCH_KEY = 'bench-admin-key-0123456789';

/** Starts the server (`main`: another build's `main-cli.js`; `command`: another role) and resolves once `/ready` answers 200. */
export async function startServer({
  dataFolder,
  env = {},
  main = MAIN,
  nodeArguments = [],
  command = ['serve', '--port', '0'],
} = {}) {
  const folder = dataFolder ?? (await mkdtemp(join(tmpdir(), 'chatsphere-bench-')));
  const startedAt = performance.now();
  const child = spawn(process.execPath, [...nodeArguments, main, ...command, '--json'], {
    env: {
      PATH: process.env.PATH,
      CHATSPHERE_DATA_DIR: folder,
      CHATSPHERE_ADMIN_KEY: BENCH_KEY,
      LOG_LEVEL: 'warn',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const url = await listeningUrl(child, exited);
  let sampledPeakMb = 0;
  const sampler = setInterval(() => {
    sampledPeakMb = Math.max(sampledPeakMb, treeRssMb(child.pid));
  }, SAMPLE_MS).unref();
  void exited.then(() => clearInterval(sampler));
  while (!(await isReady(url))) {
    if (child.exitCode !== null || performance.now() - startedAt > 60_000)
      throw new Error('the server did not become ready');
    await sleep(20);
  }
  return {
    url,
    folder,
    pid: child.pid,
    readyMs: performance.now() - startedAt,
    rssMb: () => treeRssMb(child.pid),
    peakRssMb: () => Math.max(sampledPeakMb, statusMb(child.pid, 'VmHWM')),
    cpuSeconds: () => treeCpuSeconds(child.pid),
    kill: async (signal) => {
      child.kill(signal);
      await exited;
    },
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
      if (dataFolder === undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The address in the line that the server prints once it listens. */
async function listeningUrl(child, exited) {
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([
    once(lines, 'line'),
    exited.then(() => Promise.reject(new Error('the server ended before it listened'))),
  ]);
  return JSON.parse(line).url;
}

async function isReady(url) {
  try {
    const response = await fetch(`${url}/ready`);
    await response.arrayBuffer();
    return response.status === 200;
  } catch {
    return false;
  }
}

/** What a process and those that it has started hold in memory. */
export function treeRssMb(pid) {
  return [pid, ...childrenOf(pid)].reduce((sum, one) => sum + statusMb(one, 'VmRSS'), 0);
}

/** Processor time of a process and those that it has started. */
export function treeCpuSeconds(pid) {
  return [pid, ...childrenOf(pid)].reduce((sum, one) => sum + cpuSeconds(one), 0);
}

function childrenOf(pid) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && statOf(name)[1] === String(pid))
    .map(Number);
}

/** Of a process that has ended meanwhile: 0. */
function statusMb(pid, field) {
  const line = read(`/proc/${pid}/status`)
    .split('\n')
    .find((row) => row.startsWith(`${field}:`));
  return Math.round(Number(line?.replace(/\D/g, '') ?? 0) / 1024);
}

/** The fields of a process behind its name. */
function statOf(pid) {
  const line = read(`/proc/${pid}/stat`);
  return line.slice(line.lastIndexOf(')') + 2).split(' ');
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Processor time of a process, its threads and the processes that it has started and that ended; grows only when it works. */
function cpuSeconds(pid) {
  return statOf(pid)
    .slice(11, 15)
    .reduce((sum, ticks) => sum + Number(ticks) / 100, 0);
}

export function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
