import { type Clock, type ErrorCode, toAppError } from '../../kernel/index.ts';
import { askCommand, chatCommand } from './ask-command.ts';
import { exportCommand, importCommand } from './bundle-commands.ts';
import { CliError, EXIT, type ExitCode, pathError } from './cli-error.ts';
import { type Command, type CommandContext, parseArguments } from './command.ts';
import type { Connection } from './connection.ts';
import { generationsCommand } from './generations-command.ts';
import { jobsCommand } from './jobs-command.ts';
import { botsCommand, keysCommand, searchCommand, sourcesCommand } from './resource-commands.ts';
import { paint, printable, say, type Terminal } from './terminal.ts';
import { createTrainCommand } from './train-command.ts';
import { usageCommand } from './usage-command.ts';

export interface CliOptions {
  readonly version: string;
  readonly terminal: Terminal;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** The commands that need the whole application (`serve`, `doctor`). */
  readonly applicationCommands: readonly Command[];
  connect(target: {
    readonly server?: string;
    readonly key?: string;
    readonly dataFolder?: string;
  }): Promise<Connection>;
}

/** Every command, in the order of the overview. */
export function commandsOf({
  applicationCommands,
  clock,
}: Pick<CliOptions, 'applicationCommands' | 'clock'>): readonly Command[] {
  return [
    ...applicationCommands,
    createTrainCommand(clock),
    ...[askCommand, chatCommand, searchCommand, botsCommand, sourcesCommand, jobsCommand, keysCommand],
    ...[exportCommand, importCommand, generationsCommand, usageCommand],
  ];
}

/** Runs one command line and returns its exit code; never throws and never ends the process. */
export async function runCli(args: readonly string[], options: CliOptions): Promise<ExitCode> {
  const commands = commandsOf(options);
  const [name, ...rest] = args;
  if (name === '--version' || name === '-v') {
    options.terminal.stdout.write(`${options.version}\n`);
    return EXIT.ok;
  }
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const asked = commands.find((command) => command.name === rest[0]);
    options.terminal.stdout.write(`${asked === undefined ? overview(commands) : asked.help}\n`);
    return name === undefined ? EXIT.usage : EXIT.ok;
  }
  const json = rest.includes('--json');
  try {
    const command = commands.find((candidate) => candidate.name === name);
    if (command === undefined)
      throw new CliError(EXIT.usage, `There is no command "${name}".`, { hint: 'See: chatsphere --help' });
    return await runCommand(command, rest, options);
  } catch (error) {
    return reportError(error, json, options);
  }
}

async function runCommand(command: Command, args: readonly string[], options: CliOptions): Promise<ExitCode> {
  const { positionals, values } = parseArguments(command, args);
  if (values['help'] === true) {
    options.terminal.stdout.write(`${command.help}\n`);
    return EXIT.ok;
  }
  let connection: Promise<Connection> | undefined;
  const context: CommandContext = {
    terminal: options.terminal,
    positionals,
    values,
    json: values['json'] === true,
    signal: options.signal,
    async connect() {
      connection ??= options.connect({
        ...textOption(values, 'server', 'server'),
        ...textOption(values, 'key', 'key'),
        ...textOption(values, 'data-dir', 'dataFolder'),
      });
      return (await connection).client;
    },
  };
  try {
    return await command.run(context);
  } finally {
    if (connection !== undefined)
      await connection.then(
        (open) => open.close(),
        () => {},
      );
  }
}

function textOption(values: CommandContext['values'], name: string, key: string): Readonly<Record<string, string>> {
  const value = values[name];
  return typeof value === 'string' ? { [key]: value } : {};
}

function reportError(error: unknown, json: boolean, options: CliOptions): ExitCode {
  const { terminal } = options;
  if (options.signal.aborted) {
    say(terminal, 'Interrupted.');
    return EXIT.interrupted;
  }
  const shown = error instanceof CliError ? error : fromAppError(error);
  if (json)
    terminal.stderr.write(
      `${JSON.stringify({ error: { code: shown.code, message: shown.message, hint: shown.hint ?? null } })}\n`,
    );
  else {
    say(terminal, `${paint(terminal, 'red', 'error:')} ${printable(shown.message)}`);
    if (shown.hint !== undefined) say(terminal, shown.hint);
  }
  return shown.exitCode;
}

const EXIT_OF: Partial<Record<ErrorCode, ExitCode>> = {
  configuration_invalid: EXIT.usage,
  installation_not_found: EXIT.notFound,
  secret_mismatch: EXIT.usage,
  database_unavailable: EXIT.provider,
};

function fromAppError(error: unknown): CliError {
  const known = toAppError(error);
  const ofPath = known.code === 'internal_error' ? pathError(error) : null;
  if (ofPath !== null) return ofPath;
  const detail = known.code === 'internal_error' && error instanceof Error ? ` (${error.message})` : '';
  return new CliError(EXIT_OF[known.code] ?? EXIT.failure, `${known.message}${detail}`, {
    code: known.code,
    hint: 'To see what is wrong with this machine or its settings: chatsphere doctor',
  });
}

function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map((command) => command.name.length));
  const rows = commands.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`);
  return `ChatSphere AI: train chatbots on your own content and serve them.

Usage: chatsphere <command> [options]

Commands:
${rows.join('\n')}

Options for every command:
  --server URL --key K   work against a server (default: the data folder, in-process or by its running server)
  --data-dir FOLDER      the data folder (default: CHATSPHERE_DATA_DIR or ./data)
  --json                 machine-readable output
  --yes, --no-input      never ask
  --help                 what a command does

Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 authentication, 5 provider or network, 6 partly trained, 130 interrupted.`;
}
