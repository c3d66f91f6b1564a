const ANSI_SEQUENCE = /\u001B\[[0-9;?]*[ -/]*[@-~]/g;
const LINE_BREAK = /\r\n?|[\u000B\u0085\u2028\u2029]/g;
const UNUSUAL_SPACE = /[\u00A0\u1680\u2000-\u200A\u202F\u205F\u3000]/g;
/** C0 and C1 controls but tab and line feed, and the code points that Unicode never assigns. */
const CONTROL = /[\u0000-\u0008\u000E-\u001F\u007F-\u009F\uFDD0-\uFDEF\uFFF9-\uFFFB\uFFFE\uFFFF]/g;
/** Soft hyphen, zero width, bidirectional overrides and isolates, fillers, tag characters, supplementary variation selectors. */
const INVISIBLE =
  /[\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180E\u200B\u200E\u200F\u202A-\u202E\u2060-\u206F\u3164\uFE00-\uFE0D\uFEFF\uFFA0\u{1D173}-\u{1D17A}\u{E0000}-\u{E0FFF}]/gu;
const LONE_SURROGATE = /\p{Surrogate}/gu;
const JOINER = /[\u200C\u200D]/g;
/** Scripts that spell with joiners, and what joins into one emoji. */
const JOINS =
  /[\p{Script=Arabic}\p{Script=Syriac}\p{Script=Mongolian}\p{Script=Devanagari}\p{Script=Bengali}\p{Script=Gurmukhi}\p{Script=Gujarati}\p{Script=Oriya}\p{Script=Tamil}\p{Script=Telugu}\p{Script=Kannada}\p{Script=Malayalam}\p{Script=Sinhala}\p{Script=Khmer}\p{Extended_Pictographic}\p{Emoji_Modifier}\uFE0F]$/u;
/** The look-behind lets a match start at the first blank of a run only, which keeps long runs linear. */
const TRAILING_BLANKS = /(?<![ \t])[ \t]+$/gm;
const MANY_LINE_FEEDS = /\n{3,}/g;
const VISIBLE = /[\p{L}\p{N}\p{Extended_Pictographic}]/u;

/**
 * The form in which text is stored: NFC, line feeds only, ordinary spaces, no control and no invisible characters (which
 * hide instructions from people and split words from search), no trailing blanks, at most one empty line in a row.
 * Idempotent.
 */
export function cleanText(text: string): string {
  return tidyLines(removeInvisible(text).normalize('NFC'));
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

function removeInvisible(text: string): string {
  return text
    .replace(ANSI_SEQUENCE, '')
    .replace(LINE_BREAK, '\n')
    .replace(/\f/g, '\n\n')
    .replace(UNUSUAL_SPACE, ' ')
    .replace(CONTROL, '')
    .replace(LONE_SURROGATE, '')
    .replace(INVISIBLE, '')
    .replace(JOINER, (joiner, offset: number, whole: string) =>
      JOINS.test(whole.slice(Math.max(0, offset - 2), offset)) ? joiner : '',
    );
}
