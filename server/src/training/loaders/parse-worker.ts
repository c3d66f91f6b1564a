import { AppError } from '../../kernel/index.ts';
import { createTokenCounter } from '../../llm/index.ts';
import { serveWorkerCalls, workerSettings } from '../../resilience/index.ts';
import { createChunkers, createTableGrouping } from '../chunking/strategies.ts';
import type { TextSplitterLoader } from '../ports.ts';
import type { ParseLimits, ParserCall, SplitterExports, SplitterModule } from './document-parser.ts';
import { createInputParser, cutText } from './parse-input.ts';
import { toWireChunks, toWirePart, type WireChunks, type WirePart } from './wire-part.ts';

const { splitters, ...limits } = workerSettings<ParseLimits & { readonly splitters?: SplitterModule }>();

/** Loaded when the first text is cut by one: the module brings a vendor's code. */
const loadSplitter: TextSplitterLoader = async (strategy) => {
  if (splitters === undefined) throw new AppError('chunking_failed', 'There are no text splitters on this server.');
  const { loadTextSplitter }: SplitterExports = await import(splitters.module);
  return loadTextSplitter(strategy, splitters.allowed);
};
const tokens = createTokenCounter();
const chunkerOf = createChunkers({ ...limits, tokens, loadSplitter });
const groupTables = createTableGrouping({ ...limits, tokens });
const parse = createInputParser({ chunkerOf, groupTables, maxCharacters: limits.maxCharacters });

// pdf.js leaves some failures of damaged files unhandled; what becomes of the file is told by the call itself.
process.on('unhandledRejection', () => {});

serveWorkerCalls<ParserCall, WirePart | WireChunks>(async (call) =>
  call.type === 'cut' ? toWireChunks(await cutText(call.text, { chunkerOf })) : toWirePart(await parse(call.input)),
);
