import { AppError } from '../../kernel/index.ts';
import { openCompoundFile } from './compound-file.ts';
import type { LoadedText } from './loaded-text.ts';
import { loadMessage } from './message-loader.ts';

const OLD_OFFICE = ['WordDocument', 'Workbook', 'Book', 'PowerPoint Document'];

/**
 * Reads an OLE compound file, which is a message of Outlook (.msg) when it can be trained on.
 *
 * @throws AppError `password_protected` for an encrypted Office document; `unsupported_file_type` for those of Office 2003
 *   and earlier and for anything else; `parse_failed` when it is broken.
 */
export function loadCompound(bytes: Uint8Array, name: string): LoadedText {
  const root = openCompoundFile(bytes)?.root;
  if (root === undefined) {
    throw new AppError('parse_failed', `"${name}" is broken: its directory cannot be read. Save it again.`);
  }
  if (root.streams.has('EncryptedPackage')) {
    throw new AppError(
      'password_protected',
      `"${name}" is protected by a password. Save it without one and upload it again.`,
    );
  }
  if (root.streams.has('__properties_version1.0')) return loadMessage(root, name);
  throw new AppError(
    'unsupported_file_type',
    OLD_OFFICE.some((stream) => root.streams.has(stream))
      ? `"${name}" is of Office 2003 or earlier. Save it as .docx, .xlsx, .pptx or PDF and upload it again.`
      : `"${name}" is a compound file of a kind that cannot be trained on.`,
  );
}
