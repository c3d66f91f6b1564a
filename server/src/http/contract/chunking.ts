import { z } from 'zod';
import { line } from './text.ts';

const SMALLEST_TOKENS = 100;
const LARGEST_TOKENS = 4096;
const DEFAULT_SIZE = 800;
const LARGEST_PIECE = 50_000;

const staticSizes = z
  .strictObject({
    max_chunk_size_tokens: z.number().int().min(SMALLEST_TOKENS).max(LARGEST_TOKENS),
    chunk_overlap_tokens: z.number().int().min(0),
  })
  .refine((sizes) => sizes.chunk_overlap_tokens * 2 <= sizes.max_chunk_size_tokens, {
    error: 'The overlap may be at most half of the size.',
    path: ['chunk_overlap_tokens'],
  });

const optionText = z.string().max(500);

/** What a text splitter is made from, as far as it bounds the work. Other options are passed on. */
const splitterOptions = z
  .record(
    z.string().min(1).max(64),
    z.union([optionText, z.number(), z.boolean(), z.array(optionText).max(50).readonly()]),
  )
  .refine(({ chunkSize = 1000 }) => isWithin(chunkSize, SMALLEST_TOKENS, LARGEST_PIECE), {
    error: `chunkSize must be a whole number from ${SMALLEST_TOKENS} to ${LARGEST_PIECE}.`,
  })
  .refine(({ chunkSize = 1000, chunkOverlap = 200 }) => isWithin(chunkOverlap, 0, Number(chunkSize) / 2), {
    error: 'chunkOverlap may be at most half of chunkSize (1000 and 200 when left out).',
  });

/** How content is cut into chunks: OpenAI's `auto` and `static`, and the text splitters of LangChain.js. */
export const chunkingStrategy = z
  .discriminatedUnion('type', [
    z.strictObject({ type: z.literal('auto') }),
    z.strictObject({
      type: z.literal('static'),
      static: staticSizes.default({ max_chunk_size_tokens: DEFAULT_SIZE, chunk_overlap_tokens: DEFAULT_SIZE / 2 }),
    }),
    z.strictObject({
      type: z.literal('langchain'),
      langchain: z.strictObject({
        module: line(214).default('@langchain/textsplitters'),
        class: z
          .string()
          .regex(/^[A-Za-z][A-Za-z0-9]{0,99}$/, { error: 'Name the class of a text splitter.' })
          .refine((name) => name !== 'TokenTextSplitter', {
            error: 'TokenTextSplitter downloads its vocabulary. Use the static strategy, which counts tokens offline.',
          }),
        options: splitterOptions.default({}),
      }),
    }),
  ])
  .meta({ id: 'ChunkingStrategy' });

export type WireChunkingStrategy = z.infer<typeof chunkingStrategy>;

function isWithin(value: unknown, least: number, most: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most;
}
