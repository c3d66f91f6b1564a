import { workerData } from 'node:worker_threads';
import { createTokenCounter } from '../../llm/index.ts';
import { serveWorkerCalls } from '../../resilience/index.ts';
import { createChunker } from '../chunking/chunker.ts';
import type { ParseLimits } from './document-parser.ts';
import { createInputParser, type PartOfInput } from './parse-input.ts';
import { toWirePart } from './wire-part.ts';

const limits: ParseLimits = workerData;
const chunk = createChunker({ ...limits, tokens: createTokenCounter() });
const parse = createInputParser({ chunk, maxCharacters: limits.maxCharacters });

// pdf.js leaves some failures of damaged files unhandled; what becomes of the file is told by the call itself.
process.on('unhandledRejection', () => {});

serveWorkerCalls(async (input: PartOfInput) => toWirePart(await parse(input)));
