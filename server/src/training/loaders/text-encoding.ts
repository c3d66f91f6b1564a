import { AppError } from '../../kernel/index.ts';

/** The share of a document that may be broken UTF-8 (a cut or spliced character) before it counts as another encoding. */
const BROKEN_SHARE = 0.02;
/** Control characters but for layout; what Windows-1252 leaves undefined decodes to them too. */
const CONTROL_BUT_LAYOUT = /(?![\t-\r])\p{Cc}/u;
const NON_ASCII = /\P{ASCII}/gu;
const LETTER_OR_PUNCTUATION =
  /[\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u00FF\u0152\u0153\u0160\u0161\u0178\u017D\u017E\u2013-\u201E\u2022\u2026\u20AC\u2122\u00A0-\u00BF]/g;

/**
 * Decodes the bytes of a text file: by byte order mark (UTF-8, UTF-16), by the zero bytes of UTF-16, as UTF-8, by the
 * charset it declares, and last as Shift-JIS or Windows-1252 when that reads like text.
 *
 * @throws AppError `invalid_encoding` when nothing fits.
 */
export function decodeText(bytes: Uint8Array, source: { readonly name: string; readonly mediaType: string }): string {
  const text =
    byOrderMark(bytes) ??
    byZeros(bytes) ??
    decodeAs('utf-8', bytes) ??
    byDeclaration(bytes, source.mediaType) ??
    nearlyUtf8(bytes) ??
    shiftJis(bytes) ??
    windows1252(bytes);
  if (text !== null) return text;
  throw new AppError(
    'invalid_encoding',
    `"${source.name}" is not text in a known encoding. Save it as UTF-8 and upload it again.`,
  );
}

function byOrderMark(bytes: Uint8Array): string | null {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return decodeAs('utf-16le', bytes);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return decodeAs('utf-16be', bytes);
  return null;
}

function decodeAs(encoding: string, bytes: Uint8Array): string | null {
  try {
    const decoder = new TextDecoder(encoding, { fatal: true });
    return decoder.encoding === 'windows-1252' ? decodeWindows1252(bytes) : decoder.decode(bytes);
  } catch {
    return null;
  }
}

/** What Windows-1252 has where Latin-1 has the controls 0x80 to 0x9F (Encoding standard). */
const WINDOWS_1252 =
  '\u20AC\x81\u201A\u0192\u201E\u2026\u2020\u2021\u02C6\u2030\u0160\u2039\u0152\x8D\u017D\x8F' +
  '\x90\u2018\u2019\u201C\u201D\u2022\u2013\u2014\u02DC\u2122\u0161\u203A\u0153\x9D\u017E\u0178';

/** Node 20 decodes this encoding as Latin-1, which loses the euro sign and the typographic quotes. */
export function decodeWindows1252(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    .toString('latin1')
    .replace(/[\x80-\x9F]/g, (control) => WINDOWS_1252.charAt(control.charCodeAt(0) - 0x80));
}

function byDeclaration(bytes: Uint8Array, mediaType: string): string | null {
  const head = Buffer.from(bytes.subarray(0, 2_048)).toString('latin1');
  const declared =
    /charset=["']?([\w-]+)/i.exec(mediaType)?.[1] ??
    /<meta[^>]{1,200}charset=["']?([\w-]+)/i.exec(head)?.[1] ??
    /^<\?xml[^>]{1,200}encoding=["']([\w-]+)/i.exec(head)?.[1];
  return declared === undefined ? null : decodeAs(declared, bytes);
}

function nearlyUtf8(bytes: Uint8Array): string | null {
  const text = new TextDecoder('utf-8').decode(bytes);
  const broken = text.split('\uFFFD').length - 1;
  const whole = (text.match(NON_ASCII)?.length ?? 0) - broken;
  return broken <= whole * BROKEN_SHARE ? text.replaceAll('\uFFFD', '') : null;
}

function windows1252(bytes: Uint8Array): string | null {
  const text = decodeAs('windows-1252', bytes);
  if (text === null || CONTROL_BUT_LAYOUT.test(text)) return null;
  const unusual = text.match(NON_ASCII)?.length ?? 0;
  const plausible = text.match(LETTER_OR_PUNCTUATION)?.length ?? 0;
  return plausible >= unusual * 0.8 && unusual <= text.length * 0.4 ? text : null;
}

/** Bytes that are looked at to tell UTF-16 without a byte order mark. */
const ZERO_SAMPLE = 4_096;

/**
 * The byte order of UTF-16 that bears no mark, told by the zero bytes that most scripts leave in every other place; null
 * for anything else.
 */
export function unmarkedUtf16(bytes: Uint8Array): 'utf-16le' | 'utf-16be' | null {
  const sample = bytes.subarray(0, ZERO_SAMPLE);
  if (sample.length < 4) return null;
  const zeros = [0, 0];
  let controls = 0;
  for (const [position, byte] of sample.entries()) {
    if (byte === 0) zeros[position % 2] = (zeros[position % 2] ?? 0) + 1;
    else if (byte < 9) controls += 1;
  }
  const [even = 0, odd = 0] = zeros;
  const half = sample.length / 2;
  if (controls > half * 0.1) return null;
  if (odd > half * 0.4 && even < half * 0.02) return 'utf-16le';
  if (even > half * 0.4 && odd < half * 0.02) return 'utf-16be';
  return null;
}

function byZeros(bytes: Uint8Array): string | null {
  const encoding = unmarkedUtf16(bytes);
  return encoding === null ? null : decodeAs(encoding, bytes);
}

const JAPANESE = /[\u3000-\u30FF\u4E00-\u9FFF\uFF01-\uFF5E\uF929\uFA0E-\uFA2D]/g;
/** What accented letters of Western texts turn into: an ideograph in the middle of a word, half-width katakana. */
const WESTERN_MISREAD = /[A-Za-z][\u4E00-\u9FFF]|[\uFF61-\uFF9F]/g;

function shiftJis(bytes: Uint8Array): string | null {
  const text = decodeAs('shift_jis', bytes);
  if (text === null || CONTROL_BUT_LAYOUT.test(text)) return null;
  const unusual = text.match(NON_ASCII)?.length ?? 0;
  const japanese = text.match(JAPANESE)?.length ?? 0;
  const misread = text.match(WESTERN_MISREAD)?.length ?? 0;
  return japanese >= unusual * 0.85 && misread <= unusual * 0.15 ? text : null;
}
