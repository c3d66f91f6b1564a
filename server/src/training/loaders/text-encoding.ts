import { AppError } from '../../kernel/index.ts';

/** The share of a document that may be broken UTF-8 (a cut or spliced character) before it counts as another encoding. */
const BROKEN_SHARE = 0.02;
/** Control characters but for layout; what Windows-1252 leaves undefined decodes to them too. */
const CONTROL_BUT_LAYOUT = /(?![\t-\r])\p{Cc}/u;
const NON_ASCII = /\P{ASCII}/gu;
const LETTER_OR_PUNCTUATION =
  /[\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u00FF\u0152\u0153\u0160\u0161\u0178\u017D\u017E\u2013-\u201E\u2022\u2026\u20AC\u2122\u00A0-\u00BF]/g;

/**
 * Decodes the bytes of a text file: by byte order mark (UTF-8, UTF-16), as UTF-8, by the charset it declares, and last
 * as Windows-1252 when that reads like text.
 *
 * @throws AppError `invalid_encoding` when nothing fits.
 */
export function decodeText(bytes: Uint8Array, source: { readonly name: string; readonly mediaType: string }): string {
  const text =
    byOrderMark(bytes) ??
    decodeAs('utf-8', bytes) ??
    byDeclaration(bytes, source.mediaType) ??
    nearlyUtf8(bytes) ??
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
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
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
