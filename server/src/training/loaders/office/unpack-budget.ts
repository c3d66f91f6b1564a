import { AppError } from '../../../kernel/index.ts';

/** What unpacking one input may use, nested archives included. */
export interface UnpackLimits {
  /** Unpacked bytes of all entries together. */
  readonly maxBytes: number;
  /** Unpacked bytes of one entry. */
  readonly maxEntryBytes: number;
  /** Entries of all archives together. */
  readonly maxEntries: number;
  /** Unpacked bytes for each packed one, for entries that unpack to more than `ratioFloorBytes`. */
  readonly maxRatio: number;
  readonly ratioFloorBytes: number;
  /** Archives within archives: 1 is an archive without any in it. */
  readonly maxDepth: number;
}

export const UNPACK_LIMITS: UnpackLimits = {
  maxBytes: 500_000_000,
  maxEntryBytes: 200_000_000,
  maxEntries: 10_000,
  maxRatio: 200,
  ratioFloorBytes: 8_000_000,
  maxDepth: 3,
};

/** Counts what is unpacked, of all archives of one input, and refuses what goes beyond the limits. */
export interface UnpackBudget {
  readonly limits: UnpackLimits;
  /** The input's name, for errors. */
  readonly name: string;
  /**
   * @throws AppError `unpack_limit_exceeded` when so many more entries are too many.
   */
  addEntries(count: number): void;
  /**
   * @throws AppError `unpack_limit_exceeded` when so many more bytes are too many.
   */
  addBytes(count: number): void;
  used(): UnpackedSoFar;
  /** Goes back to an earlier count, after unpacking again what has been counted. */
  restore(used: UnpackedSoFar): void;
  /** Whether nothing more can be unpacked of the whole input. */
  isExceeded(): boolean;
  /** The same budget under the name of a part, for errors of that part. */
  within(name: string): UnpackBudget;
}

export interface UnpackedSoFar {
  readonly entries: number;
  readonly bytes: number;
}

export function createUnpackBudget(
  name: string,
  limits: UnpackLimits = UNPACK_LIMITS,
  before: UnpackedSoFar = { entries: 0, bytes: 0 },
): UnpackBudget {
  const used = { ...before };
  const budgetOf = (part: string): UnpackBudget => ({
    limits,
    name: part,
    used: () => ({ ...used }),
    restore: (earlier) => void Object.assign(used, earlier),
    isExceeded: () => used.entries > limits.maxEntries || used.bytes > limits.maxBytes,
    within: budgetOf,
    addEntries(count) {
      used.entries += count;
      if (used.entries > limits.maxEntries) throw tooMuch(name, `holds more than ${limits.maxEntries} files`);
    },
    addBytes(count) {
      used.bytes += count;
      if (used.bytes > limits.maxBytes) throw tooMuch(name, `unpacks to more than ${megabytes(limits.maxBytes)}`);
    },
  });
  return budgetOf(name);
}

/** `what` says what is too much, in the manner of "unpacks to more than 500 MB". */
export function tooMuch(name: string, what: string): AppError {
  return new AppError('unpack_limit_exceeded', `"${name}" ${what}. Upload what is in it in smaller parts.`);
}

export function megabytes(bytes: number): string {
  return bytes >= 1_000_000 ? `${Math.floor(bytes / 1_000_000)} MB` : `${bytes} bytes`;
}
