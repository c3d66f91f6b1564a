import { type ParseArgsConfig, parseArgs } from 'node:util';
import type { ApiClient } from './api-client.ts';
import { CliError, EXIT, type ExitCode } from './cli-error.ts';
import type { Terminal } from './terminal.ts';

export interface CommandContext {
  readonly terminal: Terminal;
  readonly positionals: readonly string[];
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
  /** True with `--json`: machine-readable output only. */
  readonly json: boolean;
  readonly signal: AbortSignal;
  /** Connects on first use: to `--server`, to the server that holds the data folder, or to one started in-process. */
  connect(): Promise<ApiClient>;
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  /** The text of `--help`, with examples. */
  readonly help: string;
  readonly options: NonNullable<ParseArgsConfig['options']>;
  /** How many arguments without a name it takes at most, by its action where it has actions; absent: any number. */
  readonly mostArguments?: number | Readonly<Record<string, number>>;
  run(context: CommandContext): Promise<ExitCode>;
}

/** The options that every command takes. */
export const COMMON_OPTIONS = {
  help: { type: 'boolean', short: 'h' },
  json: { type: 'boolean' },
  server: { type: 'string' },
  key: { type: 'string' },
  'data-dir': { type: 'string' },
  'no-input': { type: 'boolean' },
  yes: { type: 'boolean', short: 'y' },
} satisfies ParseArgsConfig['options'];

export interface ParsedArguments {
  readonly positionals: readonly string[];
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
}

/** Rejects with a usage error (exit code 2) that names the option or argument at fault. */
export function parseArguments(command: Command, args: readonly string[]): ParsedArguments {
  try {
    const parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { ...COMMON_OPTIONS, ...command.options },
    });
    refuseSurplus(command, parsed.positionals);
    return { positionals: parsed.positionals, values: parsed.values as ParsedArguments['values'] };
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw usageError(command, error instanceof Error ? error.message.split('. ')[0] : 'The arguments cannot be read');
  }
}

/** What nobody would look at is likely a mistake: a name with spaces and no quotes, say. */
function refuseSurplus(command: Command, positionals: readonly string[]): void {
  const { mostArguments } = command;
  if (mostArguments === undefined) return;
  const [action = ''] = positionals;
  const most = typeof mostArguments === 'number' ? mostArguments : 1 + (mostArguments[action] ?? positionals.length);
  const surplus = positionals[most];
  if (surplus !== undefined) throw usageError(command, `The argument "${surplus}" is one too many`);
}

export function usageError(command: Pick<Command, 'name'>, message: string | undefined): CliError {
  return new CliError(EXIT.usage, `${message ?? 'The arguments are wrong'}.`, {
    hint: `See: chatsphere ${command.name} --help`,
  });
}

export function requiredOption(command: Pick<Command, 'name'>, context: CommandContext, name: string): string {
  const value = context.values[name];
  if (typeof value !== 'string' || value === '') throw usageError(command, `--${name} is missing`);
  return value;
}

export function numberOption(
  command: Pick<Command, 'name'>,
  context: CommandContext,
  name: string,
): number | undefined {
  const value = context.values[name];
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!Number.isFinite(number)) throw usageError(command, `--${name} must be a number, not "${value}"`);
  return number;
}
