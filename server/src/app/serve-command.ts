import { setFlagsFromString } from 'node:v8';
import type { RunningApplication, RunningProcess } from './application.ts';
import { EXIT, type ExitCode } from './cli/cli-error.ts';
import { type Command, type CommandContext, numberOption } from './cli/command.ts';
import { paint, printJson, printLine, say } from './cli/terminal.ts';
import type { Config, ConfigOverrides } from './config.ts';

export interface ServeParts {
  readonly config: (overrides: ConfigOverrides) => Promise<Config>;
  readonly startApplication: (
    config: Config,
    options: { readonly newSecret: boolean; readonly signal: AbortSignal },
  ) => Promise<RunningApplication>;
  readonly startWorker: (config: Config) => Promise<RunningProcess>;
}

/**
 * How much the heap may grow, in percent of what was in use, before it is collected again. V8's own choice on a machine
 * with much memory is up to 300. At 120 the server holds about a quarter less under load and works no more; at 50 it works half as much again.
 */
const HEAP_GROWTH_PERCENT = 120;

/**
 * Young garbage is collected by one thread: on a few cores several of them cost more processor time in all than they
 * save.
 */
const V8_FLAGS = [`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`, '--no-parallel-scavenge'];

/** `chatsphere serve`: the server, until it is told to stop. */
export function createServeCommand(parts: ServeParts): Command {
  return {
    name: 'serve',
    mostArguments: 0,
    summary: 'start the server',
    help: `Usage: chatsphere serve [--port N] [--host H] [--data-dir FOLDER] [--no-worker] [--new-secret]

Starts the server and trains in the same process. The first start prints the admin key and makes the demo bot.
Stops on Ctrl-C or SIGTERM: answers that are under way may finish, unfinished training goes on at the next start.
With --no-worker (or ROLE=serve) it only serves, and processes of \`chatsphere worker\` train: that needs DATABASE_URL.
--new-secret: the secret that API keys were made with is lost; go on with the present one. All keys must be made anew.`,
    options: {
      port: { type: 'string' },
      host: { type: 'string' },
      'no-worker': { type: 'boolean' },
      'new-secret': { type: 'boolean' },
    },
    async run(context) {
      const port = numberOption({ name: 'serve' }, context, 'port');
      const config = await parts.config({
        ...(port === undefined ? {} : { port }),
        ...placeOf(context),
        ...(context.values['no-worker'] === true ? { role: 'serve' } : {}),
      });
      for (const flag of V8_FLAGS) setFlagsFromString(flag);
      if (config.role === 'worker') return runUntilToldToStop(context, await parts.startWorker(config), announceWorker);
      const newSecret = context.values['new-secret'] === true;
      const { signal } = context;
      return runUntilToldToStop(context, await parts.startApplication(config, { newSecret, signal }), announce);
    },
  };
}

/** `chatsphere worker`: a process that trains and answers nobody. */
export function createWorkerCommand(parts: Pick<ServeParts, 'config' | 'startWorker'>): Command {
  return {
    name: 'worker',
    mostArguments: 0,
    summary: 'start a worker: a process that only trains',
    help: `Usage: chatsphere worker [--port N] [--host H]

Runs jobs for servers that share its DATABASE_URL; start as many as there is work for. On --port (WORKER_PORT, 3001)
it answers /healthz, /readyz and /metrics. Stops on Ctrl-C or SIGTERM: its unfinished jobs go on in another worker.`,
    options: { port: { type: 'string' }, host: { type: 'string' } },
    async run(context) {
      const workerPort = numberOption({ name: 'worker' }, context, 'port');
      const config = await parts.config({
        ...(workerPort === undefined ? {} : { workerPort }),
        ...placeOf(context),
        role: 'worker',
      });
      return runUntilToldToStop(context, await parts.startWorker(config), announceWorker);
    },
  };
}

function placeOf({ values }: CommandContext): { readonly dataFolder?: string; readonly host?: string } {
  const { host, 'data-dir': dataFolder } = values;
  return {
    ...(typeof host === 'string' ? { host } : {}),
    ...(typeof dataFolder === 'string' ? { dataFolder } : {}),
  };
}

async function runUntilToldToStop<Running extends RunningProcess>(
  context: CommandContext,
  running: Running,
  tell: (context: CommandContext, running: Running) => void,
): Promise<ExitCode> {
  tell(context, running);
  await aborted(context.signal);
  if (!context.json) say(context.terminal, 'Stopping: letting what is under way finish.');
  await running.stop();
  return EXIT.ok;
}

function announceWorker({ terminal, json }: CommandContext, { url }: RunningProcess): void {
  if (json) printJson(terminal, { event: 'working', url });
  else printLine(terminal, `${paint(terminal, 'bold', 'ChatSphere AI')} runs jobs; ${url}/readyz says how it is`);
}

function announce(context: CommandContext, application: RunningApplication): void {
  const { terminal } = context;
  if (context.json) {
    printJson(terminal, { event: 'listening', url: application.url, admin_key: application.createdAdminKey });
    return;
  }
  printLine(terminal, `${paint(terminal, 'bold', 'ChatSphere AI')} listens on ${application.url}`);
  printLine(
    terminal,
    `  chat model ${application.chatModel}, embeddings ${application.embedder}, data in ${application.dataFolder}`,
  );
  if (application.createdAdminKey !== null) {
    printLine(terminal, `  admin key  ${paint(terminal, 'green', application.createdAdminKey)}`);
    printLine(terminal, '  This key is shown this once only: keep it.');
  }
  printLine(
    terminal,
    `  Try it: open ${application.url} or run: chatsphere ask "What happens when I delete a source?" --bot demo`,
  );
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
