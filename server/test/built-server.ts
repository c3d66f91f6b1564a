import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../dist/app/main-cli.js', import.meta.url));

export const ADMIN_KEY = 'test-admin-key-0123456789';

export interface BuiltServer {
  readonly url: string;
  readonly dataFolder: string;
  readonly child: ChildProcess;
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** Starts the compiled server on a free port and a folder of its own, and waits until it says that it listens. */
export async function startBuiltServer(
  options: {
    readonly dataFolder?: string;
    readonly env?: Readonly<Record<string, string>>;
    /** Another role; default: `serve`. */
    readonly command?: readonly string[];
    /** Default: a free one. */
    readonly port?: number;
  } = {},
): Promise<BuiltServer> {
  const dataFolder = options.dataFolder ?? (await mkdtemp(join(tmpdir(), 'chatsphere-test-')));
  const child = spawn(
    process.execPath,
    [MAIN, ...(options.command ?? ['serve']), '--json', '--port', String(options.port ?? 0)],
    {
      env: {
        PATH: process.env['PATH'],
        CHATSPHERE_DATA_DIR: dataFolder,
        CHATSPHERE_ADMIN_KEY: ADMIN_KEY,
        LOG_LEVEL: 'error',
        ...options.env,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const exited = once(child, 'exit');
  const [line] = (await Promise.race([
    once(createInterface({ input: child.stdout }), 'line'),
    exited.then(([code]) => Promise.reject(new Error(`the server ended with code ${code}`))),
  ])) as [string];
  const { url } = JSON.parse(line) as { url: string };
  return {
    url,
    dataFolder,
    child,
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      const [code] = (await exited) as [number | null];
      if (options.dataFolder === undefined) await rm(dataFolder, { recursive: true, force: true });
      return code;
    },
  };
}

/** Runs one command line of the compiled program. */
export async function runBuiltCli(
  args: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly input?: string } = {},
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env['PATH'], LOG_LEVEL: 'error', ...options.env },
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  child.stdin.end(options.input ?? '');
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...output };
}

/** Calls the server as the admin and returns status and parsed body. */
export async function callServer(
  server: Pick<BuiltServer, 'url'>,
  request: {
    readonly method?: string;
    readonly path: string;
    readonly json?: unknown;
    readonly form?: FormData;
    readonly key?: string;
  },
): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> {
  const response = await fetch(`${server.url}${request.path}`, {
    method: request.method ?? (request.json === undefined && request.form === undefined ? 'GET' : 'POST'),
    headers: {
      authorization: `Bearer ${request.key ?? ADMIN_KEY}`,
      ...(request.json === undefined ? {} : { 'content-type': 'application/json' }),
    },
    body: request.form ?? (request.json === undefined ? null : JSON.stringify(request.json)),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

/** Waits until the job of a source has ended, by its events. */
export async function jobEnded(server: Pick<BuiltServer, 'url'>, jobId: string): Promise<void> {
  const response = await fetch(`${server.url}/v1/jobs/${jobId}/events`, {
    headers: { authorization: `Bearer ${ADMIN_KEY}` },
  });
  await response.text();
}
