import PostalMime, { type Address, type Email } from 'postal-mime';
import { loadHtml } from './html-loader.ts';
import type { LoadedText } from './loaded-text.ts';
import { cleanText } from './text-cleaning.ts';
import { unmarkedUtf16 } from './text-encoding.ts';

const DEEPEST_PARTS = 20;
const LONGEST_HEADERS = 1_000_000;

/** A message as it is stored: who, when, about what, and what it says. */
export interface MailText {
  readonly subject: string | null;
  readonly from: string;
  readonly to: string;
  readonly copies: string;
  readonly date: string;
  readonly body: string;
  readonly attachments: readonly string[];
}

/**
 * Reads an e-mail (RFC 5322 with MIME): its subject, correspondents and date, its text (made of its HTML part when that
 * is all there is, or when it holds a table), and the names of its attachments.
 *
 * @throws what the MIME parser does for messages that are nested or headed beyond all bounds.
 */
export async function loadMail(bytes: Uint8Array): Promise<LoadedText> {
  const email = await PostalMime.parse(inUtf8(bytes), {
    maxNestingDepth: DEEPEST_PARTS,
    maxHeadersSize: LONGEST_HEADERS,
  });
  return mailText({
    subject: email.subject ?? null,
    from: namesOf(email.from === undefined ? [] : [email.from]),
    to: namesOf(email.to ?? []),
    copies: namesOf(email.cc ?? []),
    date: readableDate(email.date),
    body: bodyOf(email),
    attachments: email.attachments.map(({ filename }) => filename ?? '').filter((name) => name !== ''),
  });
}

/** The Markdown of a message. */
export function mailText({ subject, from, to, copies, date, body, attachments }: MailText): LoadedText {
  const title = cleanText(subject ?? '')
    .replace(/\s+/g, ' ')
    .slice(0, 300);
  const heads = { From: from, To: to, Cc: copies, Date: date, Attachments: attachments.join(', ') };
  const lines = Object.entries(heads).flatMap(([label, value]) => {
    const line = cleanText(value).replace(/\s+/g, ' ');
    return line === '' ? [] : [`**${label}:** ${line}`];
  });
  const text = [title === '' ? '' : `# ${title}`, lines.join('  \n'), body].filter((part) => part !== '').join('\n\n');
  return { title: title === '' ? null : title, text: cleanText(text), layout: 'markdown' };
}

/** Mail is ASCII with declared charsets; a file saved as UTF-16 is taken back to that. */
function inUtf8(bytes: Uint8Array): Uint8Array {
  const marked =
    bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : null;
  const encoding = marked ?? unmarkedUtf16(bytes);
  return encoding === null ? bytes : Buffer.from(new TextDecoder(encoding).decode(bytes), 'utf8');
}

function bodyOf({ text, html }: Pick<Email, 'text' | 'html'>): string {
  const plain = text?.trim() ?? '';
  if (html === undefined || (plain !== '' && !/<table[\s>]/i.test(html))) return plain;
  const converted = loadHtml(html).text;
  return converted === '' ? plain : converted;
}

function namesOf(addresses: readonly Address[]): string {
  return addresses
    .flatMap((address) => (address.group === undefined ? [address] : address.group))
    .map(({ name, address = '' }) => (name === '' || name === address ? address : `${name} (${address})`))
    .join(', ');
}

function readableDate(date: string | undefined): string {
  const time = new Date(date ?? '');
  return Number.isNaN(time.getTime()) ? (date ?? '') : `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
