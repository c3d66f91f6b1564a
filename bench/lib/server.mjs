// Starts the built server on a folder of its own and watches its memory.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../server/dist/app/main-cli.js', import.meta.url));

/** An admin key of the benchmark's own, so that no output has to be read for it. */
export const BENCH_KEY = 'bench-admin-key-0123456789';

/** Starts the server (`main`: another build's `main-cli.js`) and resolves once `/ready` answers 200. */
export async function startServer({ dataFolder, env = {}, main = MAIN, nodeArguments = [] } = {}) {
  const folder = dataFolder ?? (await mkdtemp(join(tmpdir(), 'chatsphere-bench-')));
  const startedAt = performance.now();
  const child = spawn(process.execPath, [...nodeArguments, main, 'serve', '--json', '--port', '0'], {
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
    rssMb: () => statusMb(child.pid, 'VmRSS'),
    peakRssMb: () => statusMb(child.pid, 'VmHWM'),
    cpuSeconds: () => cpuSeconds(child.pid),
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

function statusMb(pid, field) {
  const line = readFileSync(`/proc/${pid}/status`, 'utf8')
    .split('\n')
    .find((row) => row.startsWith(`${field}:`));
  return Math.round(Number(line?.replace(/\D/g, '')) / 1024);
}

/** Processor time of the process and its threads so far: unlike wall time, it does not grow when others work, too. */
function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

export function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
