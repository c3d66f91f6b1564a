import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe } from 'vitest';

/** Debian's Python, whose Celery it is. */
const PYTHON = '/usr/bin/python3';
const FOLDER = fileURLToPath(new URL('./celery/', import.meta.url));
const isThere = spawnSync(PYTHON, ['-c', 'import celery, redis, amqp'], { stdio: 'ignore' }).status === 0;

/** A suite that needs the real Celery. Continuous integration must have it. */
export function describeWithCelery(name: string, suite: () => void): void {
  if (isThere || process.env['CI'] === 'true') describe(name, suite);
  else describe.skip(`${name} (python3-celery is not installed)`, suite);
}

export interface PythonAddress {
  readonly broker: string;
  readonly backend: string;
  /** Where the worker writes what it was told of. */
  readonly newsFile?: string;
}

export interface PythonSignature {
  readonly name: string;
  readonly args?: readonly unknown[];
  readonly kwargs?: Readonly<Record<string, unknown>>;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly immutable?: boolean;
}

/** What `AsyncResult.get()` returned or raised. */
export interface PythonResult {
  readonly state: string;
  readonly value?: unknown;
  readonly error?: string;
  readonly module?: string;
  readonly args?: readonly string[];
  readonly traceback?: string | null;
}

/** A client in Python. */
export interface PythonClient {
  send(signature: PythonSignature): Promise<string>;
  chain(...tasks: readonly PythonSignature[]): Promise<string>;
  get(id: string, timeoutSeconds?: number): Promise<PythonResult>;
  /** Sends and waits for the result. */
  call(signature: PythonSignature): Promise<PythonResult>;
  stop(): Promise<void>;
}

export async function startPythonClient(address: PythonAddress): Promise<PythonClient> {
  const child = startPython(['client.py'], address);
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  await lines.next();
  let turn: Promise<unknown> = Promise.resolve();
  function ask<Answer>(command: Readonly<Record<string, unknown>>): Promise<Answer> {
    const answered = turn.then(async () => {
      child.stdin?.write(`${JSON.stringify(command)}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error('The client in Python has ended.');
      return JSON.parse(value as string) as Answer;
    });
    turn = answered.catch(() => {});
    return answered;
  }
  const send = async (signature: PythonSignature): Promise<string> =>
    (await ask<{ id: string }>({ do: 'send', ...signature })).id;
  const get = (id: string, timeoutSeconds = 120): Promise<PythonResult> =>
    ask({ do: 'get', id, timeout: timeoutSeconds });
  return {
    send,
    get,
    chain: async (...tasks) => (await ask<{ id: string }>({ do: 'chain', tasks })).id,
    call: async (signature) => get(await send(signature)),
    stop: () => end(child),
  };
}

export interface PythonWorker {
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** A Celery worker in Python on one queue, ready for tasks. */
export async function startPythonWorker(queue: string, address: PythonAddress): Promise<PythonWorker> {
  const args = ['-m', 'celery', '-A', 'tasks', 'worker', '-P', 'solo', '-l', 'info', '-Q', queue, '-n', `w${queue}@%h`];
  const child = startPython([...args, '--without-gossip', '--without-mingle', '--without-heartbeat'], address);
  let log = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr?.on('data', (part: Buffer) => {
      log += part.toString();
      // The line may come with more lines of tasks than are kept.
      if (log.includes(' ready.')) resolve();
      log = log.slice(-10_000);
    });
    child.once('exit', () => reject(new Error(`The worker in Python has ended:\n${log}`)));
  });
  return { kill: () => end(child), stop: () => end(child) };
}

/** What a program prints; rejects when it fails. */
export async function runPython(code: string): Promise<string> {
  const child = spawn(PYTHON, ['-c', code], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [output, errors] = ['', ''];
  child.stdout.on('data', (part: Buffer) => {
    output += part.toString();
  });
  child.stderr.on('data', (part: Buffer) => {
    errors += part.toString();
  });
  const [status] = (await once(child, 'close')) as [number | null];
  if (status !== 0) throw new Error(`The program in Python has failed:\n${errors}`);
  return output;
}

/** A worker that is one file called worker.py, as documentation shows it. */
export async function startPythonSample(
  code: string,
  queue: string,
): Promise<{ said(text: string): Promise<void>; stop(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'chatsphere-sample-'));
  writeFileSync(join(folder, 'worker.py'), code);
  const args = ['-m', 'celery', '-A', 'worker', 'worker', '-P', 'solo', '-Q', queue, '-n', `sample${process.pid}@%h`];
  const child = spawn(PYTHON, args, { cwd: folder, env: { PATH: process.env['PATH'], C_FORCE_ROOT: '1' } });
  let log = '';
  let look = (): void => {};
  const read = (part: Buffer): void => {
    log += part.toString();
    look();
  };
  child.stdout.on('data', read);
  child.stderr.on('data', read);
  return {
    said: (text) =>
      new Promise((resolve, reject) => {
        look = () => log.includes(text) && resolve();
        look();
        child.once('exit', () => reject(new Error(`The worker in Python has ended:\n${log}`)));
      }),
    async stop() {
      child.removeAllListeners('exit');
      await end(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function startPython(args: readonly string[], { broker, backend, newsFile }: PythonAddress): ChildProcess {
  return spawn(PYTHON, args, {
    cwd: FOLDER,
    env: {
      PATH: process.env['PATH'],
      PYTHONDONTWRITEBYTECODE: '1',
      C_FORCE_ROOT: '1',
      BROKER: broker,
      BACKEND: backend,
      NEWS_FILE: newsFile ?? '/dev/null',
    },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
