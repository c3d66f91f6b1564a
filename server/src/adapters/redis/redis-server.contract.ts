import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe } from 'vitest';

/** A Redis of its own for tests: empty, on a free port of this machine, without files. */
export interface TestRedis {
  readonly url: string;
  /** Ends it at once; `start` begins an empty one at the same address. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** It takes connections and answers nothing. */
  pause(): void;
  resume(): void;
}

const BINARY = 'redis-server';
/** On machines without it the suites are skipped by name; continuous integration must have it. */
const isThere = (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, BINARY)));

/** A suite that needs a real Redis. */
export function describeWithRedis(name: string, suite: () => void): void {
  if (isThere || process.env['CI'] === 'true') describe(name, suite);
  else describe.skip(`${name} (redis-server is not installed)`, suite);
}

export async function startTestRedis(): Promise<TestRedis> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'chatsphere-redis-'));
  let child: ChildProcess | null = null;

  async function start(): Promise<void> {
    mkdirSync(folder, { recursive: true });
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder];
    const begun = spawn(BINARY, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    child = begun;
    const lines = createInterface({ input: begun.stdout });
    await Promise.race([
      new Promise<void>((resolve) => {
        lines.on('line', (line) => {
          if (line.includes('Ready to accept connections')) resolve();
        });
      }),
      once(begun, 'exit').then(([code]) => Promise.reject(new Error(`${BINARY} ended with code ${code}`))),
    ]);
  }

  async function stop(): Promise<void> {
    const ending = child;
    child = null;
    if (ending === null || ending.exitCode !== null) return;
    const exited = once(ending, 'exit');
    ending.kill('SIGKILL');
    await exited;
  }

  await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    start,
    async stop() {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
  };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  return port;
}
