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
}

export function createUnpackBudget(name: string, limits: UnpackLimits = UNPACK_LIMITS): UnpackBudget {
  let entries = 0;
  let bytes = 0;
  return {
    limits,
    name,
    addEntries(count) {
      entries += count;
      if (entries > limits.maxEntries) throw tooMuch(name, `holds more than ${limits.maxEntries} files`);
    },
    addBytes(count) {
      bytes += count;
      if (bytes > limits.maxBytes) throw tooMuch(name, `unpacks to more than ${megabytes(limits.maxBytes)}`);
    },
  };
}

/** `what` says what is too much, in the manner of "unpacks to more than 500 MB". */
export function tooMuch(name: string, what: string): AppError {
  return new AppError('unpack_limit_exceeded', `"${name}" ${what}. Upload what is in it in smaller parts.`);
}

export function megabytes(bytes: number): string {
  return bytes >= 1_000_000 ? `${Math.floor(bytes / 1_000_000)} MB` : `${bytes} bytes`;
}
