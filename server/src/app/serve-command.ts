import { setFlagsFromString } from 'node:v8';
import type { RunningApplication } from './application.ts';
import { EXIT } from './cli/cli-error.ts';
import { type Command, type CommandContext, numberOption } from './cli/command.ts';
import { paint, printJson, printLine, say } from './cli/terminal.ts';
import type { Config } from './config.ts';

export interface ServeParts {
  readonly config: (overrides: {
    readonly dataFolder?: string;
    readonly port?: number;
    readonly host?: string;
  }) => Promise<Config>;
  readonly startApplication: (config: Config) => Promise<RunningApplication>;
}

/**
 * How much the heap may grow, in percent of what was in use, before it is collected again. V8's own choice on a machine
 * with much memory is up to 300. At 120 the server holds about a quarter less under load and works no more; at 50 it works half as much again.
 */
const HEAP_GROWTH_PERCENT = 120;

/** `chatsphere serve`: the server, until it is told to stop. */
export function createServeCommand(parts: ServeParts): Command {
  return {
    name: 'serve',
    summary: 'start the server',
    help: `Usage: chatsphere serve [--port N] [--host H] [--data-dir FOLDER]

Starts the server and trains in the same process. The first start prints the admin key and makes the demo bot.
Stops on Ctrl-C or SIGTERM: answers that are under way may finish, unfinished training goes on at the next start.`,
    options: { port: { type: 'string' }, host: { type: 'string' } },
    async run(context) {
      const port = numberOption({ name: 'serve' }, context, 'port');
      const host = context.values['host'];
      const folder = context.values['data-dir'];
      const config = await parts.config({
        ...(port === undefined ? {} : { port }),
        ...(typeof host === 'string' ? { host } : {}),
        ...(typeof folder === 'string' ? { dataFolder: folder } : {}),
      });
      setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`);
      const application = await parts.startApplication(config);
      announce(context, application);
      await aborted(context.signal);
      if (!context.json) say(context.terminal, 'Stopping: letting running answers finish.');
      await application.stop();
      return EXIT.ok;
    },
  };
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
