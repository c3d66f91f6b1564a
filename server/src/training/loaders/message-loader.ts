import type { CompoundStorage } from './compound-file.ts';
import { unpackRichText } from './compressed-rich-text.ts';
import { loadHtml } from './html-loader.ts';
import type { LoadedText } from './loaded-text.ts';
import { mailText } from './mail-loader.ts';
import { loadRichText } from './rich-text-loader.ts';
import { decodeWindows1252 } from './text-encoding.ts';

/** Property ids of [MS-OXPROPS]. */
const SUBJECT = '0037';
const BODY = '1000';
const HTML = '1013';
const RICH_TEXT = '1009';
const SENDER_NAME = '0C1A';
const SENDER_SMTP = '5D01';
const SENDER_ADDRESS = '0C1F';
const DISPLAY_NAME = '3001';
const SMTP_ADDRESS = '39FE';
const ADDRESS = '3003';
const LONG_FILE_NAME = '3707';
const SUBMITTED = 0x0039;
const DELIVERED = 0x0e06;
const RECIPIENT_TYPE = 0x0c15;
const UNICODE = '001F';
const EIGHT_BIT = '001E';
const BINARY = '0102';

const LONGEST_BODY = 20_000_000;
/** 100-nanosecond steps from 1601 to 1970. */
const EPOCH_STEPS = 116_444_736_000_000_000n;
/** Bytes before the properties of the message itself, and of its recipients ([MS-OXMSG] 2.4.1). */
const MESSAGE_HEADER = 32;
const RECIPIENT_HEADER = 8;

/** Reads a message that Outlook saved ([MS-OXMSG]): correspondents, date, subject, text, names of attachments. */
export function loadMessage(root: CompoundStorage, name: string): LoadedText {
  const below = (prefix: string) => root.storages.filter((storage) => storage.name.startsWith(prefix));
  const recipients = below('__recip_version1.0_').map((recipient) => ({
    type: fixedOf(recipient, { property: RECIPIENT_TYPE, header: RECIPIENT_HEADER })?.readUInt32LE(0) ?? 1,
    name: correspondent(textOf(recipient, DISPLAY_NAME), firstText(recipient, [SMTP_ADDRESS, ADDRESS])),
  }));
  const of = (type: number): string =>
    recipients
      .filter((recipient) => recipient.type === type)
      .map((recipient) => recipient.name)
      .join(', ');
  return mailText({
    subject: textOf(root, SUBJECT),
    from: correspondent(textOf(root, SENDER_NAME), firstText(root, [SENDER_SMTP, SENDER_ADDRESS])),
    to: of(1),
    copies: of(2),
    date: dateOf(root),
    body: bodyOf(root, name),
    attachments: below('__attach_version1.0_').flatMap(
      (attachment) => firstText(attachment, [LONG_FILE_NAME, DISPLAY_NAME]) ?? [],
    ),
  });
}

function correspondent(name: string | null, address: string | null): string {
  // Addresses within an Exchange organisation mean nothing to readers.
  const shown = address === null || address.startsWith('/') ? '' : address;
  if (name === null || name === '' || name === shown) return shown;
  return shown === '' ? name : `${name} (${shown})`;
}

function bodyOf(root: CompoundStorage, name: string): string {
  const plain = textOf(root, BODY) ?? '';
  const html = textOf(root, HTML) ?? htmlOf(root);
  if (html !== null && (plain.trim() === '' || /<table[\s>]/i.test(html))) return loadHtml(html).text || plain;
  const packed = streamOf(root, RICH_TEXT, BINARY);
  if (plain.trim() !== '' || packed === null) return plain;
  return loadRichText(unpackRichText(packed, LONGEST_BODY), name).text;
}

function htmlOf(root: CompoundStorage): string | null {
  const bytes = streamOf(root, HTML, BINARY);
  if (bytes === null) return null;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return decodeWindows1252(bytes);
  }
}

function firstText(storage: CompoundStorage, properties: readonly string[]): string | null {
  for (const property of properties) {
    const text = textOf(storage, property);
    if (text !== null && text !== '') return text;
  }
  return null;
}

function textOf(storage: CompoundStorage, property: string): string | null {
  const unicode = streamOf(storage, property, UNICODE);
  if (unicode !== null) return unicode.toString('utf16le').replace(/\0+$/, '');
  const bytes = streamOf(storage, property, EIGHT_BIT);
  return bytes === null ? null : decodeWindows1252(bytes).replace(/\0+$/, '');
}

function streamOf({ streams }: CompoundStorage, property: string, type: string): Buffer | null {
  return streams.get(`__substg1.0_${property}${type}`)?.read() ?? null;
}

/** The value of a property of fixed length: 8 bytes. */
function fixedOf(
  { streams }: CompoundStorage,
  { property, header }: { readonly property: number; readonly header: number },
): Buffer | null {
  const table = streams.get('__properties_version1.0')?.read();
  if (table === undefined) return null;
  for (let offset = header; offset + 16 <= table.length; offset += 16) {
    if (table.readUInt16LE(offset + 2) === property) return table.subarray(offset + 8, offset + 16);
  }
  return null;
}

function dateOf(root: CompoundStorage): string {
  for (const property of [SUBMITTED, DELIVERED]) {
    const value = fixedOf(root, { property, header: MESSAGE_HEADER });
    if (value === null) continue;
    const time = new Date(Number((value.readBigUInt64LE(0) - EPOCH_STEPS) / 10_000n));
    if (!Number.isNaN(time.getTime())) return `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  }
  return '';
}
