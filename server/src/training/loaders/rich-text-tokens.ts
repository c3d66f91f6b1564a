/** One piece of Rich Text Format, as its specification 1.9.1 divides it. */
export type RichTextToken =
  | { readonly type: 'open' }
  | { readonly type: 'close' }
  | { readonly type: 'word'; readonly word: string; readonly value: number | null }
  | { readonly type: 'byte'; readonly value: number }
  | { readonly type: 'text'; readonly text: string };

const CONTROL_WORD = /([a-z]{1,32})(-?\d{1,10})? ?/iy;

/**
 * Cuts Rich Text Format into tokens, in linear time. `source` holds one byte a character (Latin-1). Binary data behind
 * `\bin` is left out; what is broken is skipped.
 */
export function* richTextTokens(source: string): Generator<RichTextToken> {
  let position = 0;
  while (position < source.length) {
    const character = source.charAt(position);
    if (character === '{' || character === '}') {
      yield { type: character === '{' ? 'open' : 'close' };
      position += 1;
    } else if (character === '\\') {
      const { token, end } = controlAt(source, position + 1);
      if (token !== null) yield token;
      position = token?.type === 'word' && token.word === 'bin' ? end + Math.max(0, token.value ?? 0) : end;
    } else if (character === '\r' || character === '\n') {
      position += 1;
    } else {
      const end = endOfText(source, position);
      yield { type: 'text', text: source.slice(position, end) };
      position = end;
    }
  }
}

function endOfText(source: string, start: number): number {
  let end = start;
  while (end < source.length && !'{}\\\r\n'.includes(source.charAt(end))) end += 1;
  return end;
}

/** The control word or symbol behind a backslash. */
function controlAt(source: string, start: number): { readonly token: RichTextToken | null; readonly end: number } {
  CONTROL_WORD.lastIndex = start;
  const match = CONTROL_WORD.exec(source);
  if (match?.[1] !== undefined) {
    const value = match[2] === undefined ? null : Number(match[2]);
    return { token: { type: 'word', word: match[1], value }, end: start + match[0].length };
  }
  const symbol = source.charAt(start);
  if (symbol === "'") {
    const value = Number.parseInt(source.slice(start + 1, start + 3), 16);
    return { token: Number.isNaN(value) ? null : { type: 'byte', value }, end: start + 3 };
  }
  return { token: symbolToken(symbol), end: start + 1 };
}

function symbolToken(symbol: string): RichTextToken | null {
  switch (symbol) {
    case '\\':
    case '{':
    case '}':
      return { type: 'text', text: symbol };
    case '~':
      return { type: 'text', text: ' ' };
    case '_':
      return { type: 'text', text: '-' };
    case '\n':
    case '\r':
      return { type: 'word', word: 'par', value: null };
    case '*':
      return { type: 'word', word: '*', value: null };
    default:
      return null;
  }
}
