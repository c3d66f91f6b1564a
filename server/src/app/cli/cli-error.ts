/** What the process tells its caller (0 is success). */
export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  notFound: 3,
  authentication: 4,
  provider: 5,
  partlyTrained: 6,
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A failure as a person at a terminal needs it: what happened and why, and the next command to run. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: ExitCode;
  readonly code: string;
  readonly hint: string | undefined;

  constructor(exitCode: ExitCode, message: string, options: { readonly code?: string; readonly hint?: string } = {}) {
    super(message);
    this.exitCode = exitCode;
    this.code = options.code ?? 'usage';
    this.hint = options.hint;
  }
}

/** The exit code for an error answer of the API. */
export function exitCodeOf(status: number, code: string): ExitCode {
  if (status === 401 || status === 403) return EXIT.authentication;
  if (status === 404) return EXIT.notFound;
  if (code.startsWith('provider_') || code === 'stream_interrupted' || status >= 502) return EXIT.provider;
  return EXIT.failure;
}
