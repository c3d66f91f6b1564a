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

/** What the system says of a file or folder, in plain words; null for any other error. */
export function pathError(error: unknown): CliError | null {
  const { code, path } = (error ?? {}) as Partial<NodeJS.ErrnoException>;
  if (typeof code !== 'string' || typeof path !== 'string') return null;
  const place = JSON.stringify(path);
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new CliError(EXIT.notFound, `There is no file or folder ${place}.`, {
      code: 'path_not_found',
      hint: 'Check the path.',
    });
  }
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new CliError(EXIT.failure, `There is no space left to write ${place}.`, {
      code: 'storage_full',
      hint: 'Make room, or choose another place.',
    });
  }
  const reason = NOT_ACCESSIBLE.get(code);
  if (reason === undefined) return null;
  return new CliError(EXIT.failure, `${place} ${reason} (${code}).`, {
    code: 'path_not_accessible',
    hint: 'Change its owner or mode, or choose another path.',
  });
}

const NOT_ACCESSIBLE: ReadonlyMap<string, string> = new Map([
  ['EACCES', 'may not be read or written by this user'],
  ['EPERM', 'may not be read or written by this user'],
  ['EROFS', 'is on a disk that cannot be written to'],
  ['EISDIR', 'is a folder, not a file'],
]);
