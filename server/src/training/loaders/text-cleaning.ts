const ESCAPE = String.fromCharCode(27);
const ANSI_SEQUENCE = new RegExp(`${ESCAPE}\\[[0-9;?]*[ -/]*[@-~]`, 'g');
const LINE_BREAK = /\r\n?|[\v\u0085\u2028\u2029]/g;
const UNUSUAL_SPACE = /[\u00A0\u1680\u2000-\u200A\u202F\u205F\u3000]/g;
/** C0 and C1 controls but tab and line feed, and the code points that Unicode never assigns. */
const CONTROL = /(?![\t\n])\p{Cc}|\p{Noncharacter_Code_Point}|[\uFFF9-\uFFFB]/gu;
/** Soft hyphen, zero width, bidirectional overrides, fillers, tag characters; all but joiners and emoji selectors. */
const INVISIBLE = /(?!\u200C|\u200D|\uFE0E|\uFE0F)\p{Default_Ignorable_Code_Point}|\u200E|\u200F/gu;
const LONE_SURROGATE = /\p{Surrogate}/gu;
/** Joiners and emoji selectors: part of the spelling where they stand after what they join or select. */
const BINDER = /\u200C|\u200D|\uFE0E|\uFE0F/g;
const TAKES_SELECTOR = /\p{Emoji}$/u;
const TAKES_JOINER =
  /(?:[\p{Script=Arabic}\p{Script=Syriac}\p{Script=Mongolian}\p{Script=Devanagari}\p{Script=Bengali}\p{Script=Gurmukhi}\p{Script=Gujarati}\p{Script=Oriya}\p{Script=Tamil}\p{Script=Telugu}\p{Script=Kannada}\p{Script=Malayalam}\p{Script=Sinhala}\p{Script=Khmer}\p{Extended_Pictographic}\p{Emoji_Modifier}]|\uFE0F)$/u;
/** The look-behind lets a match start at the first blank of a run only, which keeps long runs linear. */
const TRAILING_BLANKS = /(?<![ \t])[ \t]+$/gm;
/** Composing takes quadratic time over a run of marks; no script stacks more than the 30 of UAX #15's stream-safe text. */
const SURPLUS_MARKS = /(\p{M}{30})\p{M}+/gu;
const MANY_LINE_FEEDS = /\n{3,}/g;
/** Latin letters, punctuation and symbols alone, of which nothing is to be removed: most texts, and quick to tell. */
const PLAIN = /^[\t\n\x20-\x7e\xa1-\xac\xae-\u02ff\u2010-\u2027\u2030-\u205e\u20a0-\u20cf\u2100-\u2bff]*$/;
const VISIBLE = /[\p{L}\p{N}\p{Extended_Pictographic}]/u;

/**
 * The form in which text is stored: NFC, line feeds only, ordinary spaces, no control and no invisible characters (which
 * hide instructions from people and split words from search), no trailing blanks, at most one empty line and at most 30
 * combining marks in a row.
 * Idempotent.
 */
export function cleanText(text: string): string {
  if (PLAIN.test(text)) return tidyLines(text.normalize('NFC'));
  // Composing may also take one mark apart into two.
  return tidyLines(limitMarks(limitMarks(removeInvisible(text)).normalize('NFC')));
}

/** Removes trailing blanks and surplus empty lines. */
export function tidyLines(text: string): string {
  return text.replace(TRAILING_BLANKS, '').replace(MANY_LINE_FEEDS, '\n\n').trim();
}

/** Whether there is anything to be found by: a letter, a digit or a pictograph. */
export function hasContent(text: string): boolean {
  return VISIBLE.test(text);
}

/** Share of control characters (0..1), of at most the first `limit` characters. Text has next to none. */
export function controlShare(text: string, limit = 8_000): number {
  const head = text.slice(0, limit);
  if (head.length === 0) return 0;
  return (head.match(CONTROL)?.length ?? 0) / head.length;
}

function limitMarks(text: string): string {
  return text.replace(SURPLUS_MARKS, '$1');
}

function removeInvisible(text: string): string {
  return text
    .replace(ANSI_SEQUENCE, '')
    .replace(LINE_BREAK, '\n')
    .replace(/\f/g, '\n\n')
    .replace(UNUSUAL_SPACE, ' ')
    .replace(CONTROL, '')
    .replace(LONE_SURROGATE, '')
    .replace(INVISIBLE, '')
    .replace(BINDER, keepBinder);
}

function keepBinder(binder: string, offset: number, text: string): string {
  const before = text.slice(Math.max(0, offset - 2), offset);
  const bound = binder === '\u200C' || binder === '\u200D' ? TAKES_JOINER : TAKES_SELECTOR;
  return bound.test(before) ? binder : '';
}
