import { AppError } from '../../kernel/index.ts';
import {
  type CallGrant,
  createWorkerPool,
  type RightOfWay,
  type WorkerPool,
  workerModule,
} from '../../resilience/index.ts';
import type { DocumentParser, TextSplitterLoader, TextToCut } from '../ports.ts';
import { demandOf, grantOf, type ParseDemand } from './parse-grant.ts';
import type { PartOfInput } from './parse-input.ts';
import { fromWireChunks, fromWirePart, type WireChunks, type WirePart } from './wire-part.ts';

/** What a worker is asked. */
export type ParserCall =
  | { readonly type: 'parse'; readonly input: PartOfInput }
  | { readonly type: 'cut'; readonly text: TextToCut };

/** What a parse may use. */
export interface ParseLimits {
  /** Longest text of what must be read at once, in UTF-16 units. Text files are read in stretches and may be any size. */
  readonly maxCharacters: number;
  /** The size that chunks aim at, in tokens. */
  readonly targetTokens: number;
  /** No chunk is larger, in tokens. */
  readonly maxTokens: number;
}

/** Where text splitters of a vendor come from. */
export interface SplitterModule {
  /** URL of a module with the exports of `SplitterExports`; loaded in the worker when it is needed. */
  readonly module: string;
  /** Packages that a strategy may name. */
  readonly allowed: readonly string[];
}

export interface SplitterExports {
  readonly loadTextSplitter: (
    strategy: Parameters<TextSplitterLoader>[0],
    allowed: readonly string[],
  ) => ReturnType<TextSplitterLoader>;
}

export interface DocumentParserOptions extends Partial<ParseLimits> {
  readonly splitters?: SplitterModule;
  /** Lets questions go first, before each part is parsed. */
  readonly giveWay?: RightOfWay['giveWay'];
  /** Worker processes at most; each holds about 100 MB while it works. */
  readonly size?: number;
  /** For the largest inputs, of processor time where that is known (see `grantOf`). */
  readonly timeoutMs?: number;
  /** For large inputs; small ones get less. */
  readonly heapMb?: number;
  /** Idle workers end after this long and give their memory back. */
  readonly idleTimeoutMs?: number;
}

const DEFAULTS = {
  maxCharacters: 25_000_000,
  targetTokens: 400,
  maxTokens: 512,
  size: 1,
  timeoutMs: 30_000,
  heapMb: 512,
  idleTimeoutMs: 3_000,
} as const;

/**
 * Parses in worker processes, off the event loop: a document that hangs ends as `parse_timeout`, one that eats its heap
 * as `parse_out_of_memory`, and neither harms this process: V8 ends the process of whatever thread overflows its heap. Other refusals are those of `loadContent`.
 */
export function createDocumentParser(options: DocumentParserOptions = {}): DocumentParser {
  const { size, timeoutMs, heapMb, idleTimeoutMs, giveWay, ...limits } = { ...DEFAULTS, ...options };
  const makePool = (): WorkerPool<ParserCall, WirePart | WireChunks> =>
    createWorkerPool({
      module: workerModule(import.meta.url, './parse-worker'),
      size,
      isolation: 'process',
      workerData: limits satisfies ParseLimits & { readonly splitters?: SplitterModule },
      resourceLimits: { maxOldGenerationSizeMb: heapMb, maxYoungGenerationSizeMb: 16 },
      callTimeoutMs: timeoutMs,
      idleTimeoutMs,
      ...(giveWay === undefined ? {} : { giveWay }),
      onCrash: (cause) => new AppError('parse_out_of_memory', 'Parsing needs more memory than it may use.', { cause }),
    });
  let pool: WorkerPool<ParserCall, WirePart | WireChunks> | null = null;

  async function call<Answer>(
    request: ParserCall,
    { name, demand }: { readonly name: string; readonly demand: ParseDemand },
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    pool ??= makePool();
    const grant = grantOf(demand, { timeoutMs, heapMb });
    try {
      return (await pool.call(request, signal, grant)) as Answer;
    } catch (error) {
      throw signal?.aborted ? error : nameInput(error, name, grant);
    }
  }

  return {
    async parse(input, signal) {
      const of = { name: input.name, demand: await demandOf(input) };
      return fromWirePart(await call<WirePart>({ type: 'parse', input }, of, signal));
    },
    async cut({ title, text, structure, chunking }, signal) {
      const asked = { title, text, chunking, ...(structure === undefined ? {} : { structure }) };
      const of = { name: title, demand: { time: text.length, memory: text.length } };
      return fromWireChunks(await call<WireChunks>({ type: 'cut', text: asked }, of, signal), text);
    },
    async start() {
      pool ??= makePool();
    },
    async stop() {
      await pool?.stop();
      pool = null;
    },
  };
}

function nameInput(error: unknown, name: string, { timeoutMs }: Required<CallGrant>): unknown {
  if (!(error instanceof AppError)) return error;
  const advice = 'Split it into smaller files.';
  if (error.code === 'timeout') {
    return new AppError(
      'parse_timeout',
      `"${name}" could not be read within ${Math.round(timeoutMs / 1_000)} s. ${advice}`,
      {
        cause: error,
      },
    );
  }
  if (error.code === 'parse_out_of_memory') {
    return new AppError(error.code, `"${name}" needs more memory to read than it may use. ${advice}`, { cause: error });
  }
  return error;
}
