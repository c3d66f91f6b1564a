import { readFile, stat } from 'node:fs/promises';
import { workerData } from 'node:worker_threads';
import { AppError } from '../../kernel/index.ts';
import { createTokenCounter } from '../../llm/index.ts';
import { serveWorkerCalls } from '../../resilience/index.ts';
import { createChunker } from '../chunking/chunker.ts';
import type { ParserInput } from '../ports.ts';
import type { ParseLimits } from './document-parser.ts';
import { parseInput } from './parse-input.ts';

/** UTF-16 takes two bytes a character, UTF-8 up to four; more bytes than this hold too many characters for sure. */
const MOST_BYTES_A_CHARACTER = 4;

const limits: ParseLimits = workerData;
const chunk = createChunker({ ...limits, tokens: createTokenCounter() });

serveWorkerCalls(async (input: ParserInput & { readonly from: string | null }) => {
  const { size } = await stat(input.path);
  if (size > limits.maxCharacters * MOST_BYTES_A_CHARACTER) {
    throw new AppError('content_too_large', `"${input.name}" is too large to read. Split it into smaller files.`);
  }
  return parseInput(await readFile(input.path), input, { chunk, maxCharacters: limits.maxCharacters });
});
