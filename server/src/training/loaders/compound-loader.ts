import messages, { type FieldsData } from '@kenjiuno/msgreader';
import { AppError } from '../../kernel/index.ts';
import { loadHtml } from './html-loader.ts';
import type { LoadedText } from './loaded-text.ts';
import { mailText } from './mail-loader.ts';

/** What an OLE compound file holds, told by the names in its directory. */
type CompoundContent = 'message' | 'encrypted-office' | 'old-office' | 'unknown';

const STREAMS: readonly (readonly [string, CompoundContent])[] = [
  ['EncryptedPackage', 'encrypted-office'],
  ['__properties_version1.0', 'message'],
  ['WordDocument', 'old-office'],
  ['Workbook', 'old-office'],
  ['PowerPoint Document', 'old-office'],
];

/**
 * Reads an OLE compound file, which is a message of Outlook (.msg) when it can be trained on.
 *
 * @throws AppError `password_protected` for an encrypted Office document; `unsupported_file_type` for those of Office 2003
 *   and earlier and for anything else.
 */
export function loadCompound(bytes: Uint8Array, name: string): LoadedText {
  switch (contentOf(bytes)) {
    case 'message':
      return loadMessage(bytes, name);
    case 'encrypted-office':
      throw new AppError(
        'password_protected',
        `"${name}" is protected by a password. Save it without one and upload it again.`,
      );
    case 'old-office':
      throw new AppError(
        'unsupported_file_type',
        `"${name}" is of Office 2003 or earlier. Save it as .docx, .xlsx, .pptx or PDF and upload it again.`,
      );
    case 'unknown':
      throw new AppError('unsupported_file_type', `"${name}" is a compound file of a kind that cannot be trained on.`);
  }
}

function contentOf(bytes: Uint8Array): CompoundContent {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const [stream, content] of STREAMS) if (whole.includes(Buffer.from(stream, 'utf16le'))) return content;
  return 'unknown';
}

function loadMessage(bytes: Uint8Array, name: string): LoadedText {
  const message = new messages.default(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)).getFileData();
  if (message.dataType !== 'msg') throw new AppError('parse_failed', `"${name}" is a broken message. Save it as .eml.`);
  const recipients = message.recipients ?? [];
  const of = (type: string): string =>
    recipients
      .filter(({ recipType = 'to' }) => recipType === type)
      .map(({ name: person, email, smtpAddress }) => correspondent(person, smtpAddress ?? email))
      .join(', ');
  return mailText({
    subject: message.subject ?? null,
    from: correspondent(message.senderName, message.senderSmtpAddress ?? message.senderEmail),
    to: of('to'),
    copies: of('cc'),
    date: message.clientSubmitTime ?? message.messageDeliveryTime ?? '',
    body: bodyOf(message),
    attachments: (message.attachments ?? []).flatMap(({ fileName, fileNameShort }) => fileName ?? fileNameShort ?? []),
  });
}

function correspondent(name = '', address = ''): string {
  if (name === '' || name === address) return address;
  return address === '' ? name : `${name} (${address})`;
}

function bodyOf({ body = '', bodyHtml, html }: FieldsData): string {
  const markup = bodyHtml ?? (html === undefined ? undefined : new TextDecoder().decode(html));
  if (markup === undefined || (body.trim() !== '' && !/<table[\s>]/i.test(markup))) return body;
  return loadHtml(markup).text || body;
}
