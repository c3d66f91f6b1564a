import { createRequire } from 'node:module';
import type { TokenCounter } from './ports.ts';

type Encoding = Pick<typeof import('gpt-tokenizer/encoding/o200k_base'), 'countTokens' | 'setMergeCacheSize'>;

/** Longer runs without a blank or a digit are cut: merging one "word" takes time quadratic in its length. */
const RUN_LIMIT = 512;

/** The tokenizer keeps words it had to merge, and a kept word keeps the whole text it was found in. */
const MERGE_CACHE_SIZE = 1000;

const PLAIN_TEXT = { allowedSpecial: new Set<string>(), disallowedSpecial: new Set<string>() };

/**
 * Counts tokens in the o200k_base encoding. Text that looks like a control token (`<|endoftext|>`) counts as plain text.
 * Exact, but for runs of more than 512 UTF-16 units without a blank or a digit: these are counted in parts, which adds a
 * token or two a part and keeps the time linear in the length of the text. The vocabulary (55 MB) is loaded by the
 * first count.
 */
export function createTokenCounter(): TokenCounter {
  let encoding: Encoding | undefined;
  return {
    count(text) {
      if (text.length === 0) return 0;
      encoding ??= loadEncoding();
      let tokens = 0;
      let start = 0;
      for (const cut of findCuts(text)) {
        tokens += encoding.countTokens(text.slice(start, cut), PLAIN_TEXT);
        start = cut;
      }
      return tokens + encoding.countTokens(start === 0 ? text : text.slice(start), PLAIN_TEXT);
    },
  };
}

function loadEncoding(): Encoding {
  const require = createRequire(import.meta.url);
  const encoding: Encoding = require('gpt-tokenizer/encoding/o200k_base');
  encoding.setMergeCacheSize(MERGE_CACHE_SIZE);
  return encoding;
}

/** Looks only round every 512th unit: a run that is too long cannot lie between two of them. */
function* findCuts(text: string): Generator<number> {
  for (let position = RUN_LIMIT; position < text.length; position += RUN_LIMIT) {
    if (isInLongRun(text, position)) yield isLowSurrogate(text, position) ? position + 1 : position;
  }
}

function isInLongRun(text: string, position: number): boolean {
  const kind = kindOf(text.charCodeAt(position));
  if (kind === 'digit') return false;
  let start = position;
  while (start > 0 && position - start <= RUN_LIMIT && kindOf(text.charCodeAt(start - 1)) === kind) start -= 1;
  let end = position + 1;
  while (end < text.length && end - start <= RUN_LIMIT && kindOf(text.charCodeAt(end)) === kind) end += 1;
  return end - start > RUN_LIMIT;
}

type Kind = 'digit' | 'blank' | 'other';

function kindOf(code: number): Kind {
  if (code >= 0x30 && code <= 0x39) return 'digit';
  return code <= 0x20 || (code >= 0xa0 && isWideBlank(code)) ? 'blank' : 'other';
}

function isWideBlank(code: number): boolean {
  return code === 0xa0 || code === 0x3000 || code === 0xfeff || (code >= 0x2000 && code <= 0x202f);
}

function isLowSurrogate(text: string, position: number): boolean {
  const code = text.charCodeAt(position);
  return code >= 0xdc00 && code <= 0xdfff;
}
