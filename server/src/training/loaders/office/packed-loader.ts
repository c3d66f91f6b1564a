import { AppError } from '../../../kernel/index.ts';
import type { ReadingCaution } from '../../ports.ts';
import type { LoadedContent, LoadedText } from '../loaded-text.ts';
import { type LoadFile, loadArchive } from './archive-loader.ts';
import { loadDocx } from './docx-loader.ts';
import { loadEpub } from './epub-loader.ts';
import type { PackedFile } from './office-package.ts';
import { loadOpenDocument } from './opendocument-loader.ts';
import { packedKindOf } from './packed-kind.ts';
import { loadPptx } from './pptx-loader.ts';
import { createUnpackBudget, type UnpackBudget } from './unpack-budget.ts';
import { loadXlsx } from './xlsx-loader.ts';
import { openZip } from './zip-archive.ts';

export interface PackedSource {
  readonly name: string;
  readonly from?: string | null;
  readonly caution?: ReadingCaution;
}

export interface PackedOptions {
  /** Longest text of one document, in UTF-16 units. */
  readonly maxCharacters: number;
  /** Loads a file of an archive. */
  readonly loadFile: LoadFile;
}

/**
 * Reads what is a ZIP archive: a document of Word, Excel, PowerPoint or OpenDocument, a book, or an archive of files,
 * each of which becomes a document of its own.
 *
 * @throws AppError `unsupported_file_type`, `password_protected`, `parse_failed`, `content_too_large`, `empty_content`,
 *   `unpack_limit_exceeded`.
 */
export async function loadPacked(
  bytes: Uint8Array,
  { name, from = null, caution }: PackedSource,
  { maxCharacters, loadFile }: PackedOptions,
): Promise<LoadedText | LoadedContent> {
  const loadDocument = async (document: Uint8Array, budget: UnpackBudget): Promise<LoadedText | 'archive'> => {
    const archive = openZip(document, budget);
    return loadKnown({ archive, name: budget.name, maxCharacters });
  };
  const options = { name, from, maxCharacters, loadFile, loadDocument };
  if (from !== null) return loadArchive(bytes, { ...options, ...(caution === undefined ? {} : { caution }) });
  if (caution !== undefined) {
    const kind = await packedKindOf({ archive: openZip(bytes, createUnpackBudget(name)), name, maxCharacters });
    if (kind !== 'archive') throw new AppError(caution.fault.code, caution.fault.message);
    return loadArchive(bytes, { ...options, caution });
  }
  const whole = await loadDocument(bytes, createUnpackBudget(name));
  return whole === 'archive' ? loadArchive(bytes, options) : whole;
}

async function loadKnown(file: PackedFile): Promise<LoadedText | 'archive'> {
  const kind = await packedKindOf(file);
  switch (kind) {
    case 'docx':
      return loadDocx(file);
    case 'xlsx':
      return loadXlsx(file);
    case 'pptx':
      return loadPptx(file);
    case 'odt':
    case 'ods':
    case 'odp':
      return loadOpenDocument(file, kind);
    case 'epub':
      return loadEpub(file);
    case 'archive':
      return kind;
    case 'unknown':
      throw new AppError(
        'unsupported_file_type',
        `"${file.name}" is an Office document of a kind that cannot be trained on. Save it as .docx, .xlsx, .pptx or PDF.`,
      );
  }
}
