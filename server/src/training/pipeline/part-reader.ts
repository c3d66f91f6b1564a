import { AppError, type ErrorCode } from '../../kernel/index.ts';
import type { DocumentParser, ParsedPart, ReadingCaution } from '../ports.ts';
import { isContentFault } from './content-faults.ts';

/** What ends the thread that reads: nothing of the part comes back, nor where the next one begins. */
const DEADLY: readonly string[] = ['parse_timeout', 'parse_out_of_memory'];
/** A part holds no more files: behind them the deadly one must be. */
const MOST_SINGLE_FILES = 64;

type InputFile = Omit<Parameters<DocumentParser['parse']>[0], 'from' | 'caution'>;

export interface PartReaderOptions {
  readonly parser: Pick<DocumentParser, 'parse'>;
  readonly signal: AbortSignal;
  /** Told why an input ends where it does. */
  readonly onUnusable: (code: ErrorCode) => void;
}

/**
 * Reads an input part by part. Where that ends the thread, an archive is read on file by file until the one at fault is
 * found, which is passed over; other inputs end there. Whatever cannot be used becomes a refusal; rejects with anything
 * else.
 */
export function createPartReader(
  file: InputFile,
  { parser, signal, onUnusable }: PartReaderOptions,
): (from: string | null) => Promise<ParsedPart> {
  let caution: ReadingCaution | null = null;
  let singleFiles = 0;

  return async (from) => {
    for (;;) {
      try {
        const part = await parser.parse({ ...file, from, ...(caution === null ? {} : { caution }) }, signal);
        singleFiles -= 1;
        if (caution?.type === 'pass-over' || singleFiles <= 0) caution = null;
        return part;
      } catch (error) {
        if (!(error instanceof AppError) || signal.aborted || !isContentFault(error.code)) throw error;
        const { code, message } = error;
        if (!DEADLY.includes(code) || caution?.type === 'pass-over') {
          onUnusable(code);
          return { documents: [], refusals: [{ name: file.name, code, message }], next: null, share: 1 };
        }
        if (caution === null) singleFiles = MOST_SINGLE_FILES;
        caution = { type: caution === null ? 'one-by-one' : 'pass-over', fault: { code, message } };
      }
    }
  };
}
