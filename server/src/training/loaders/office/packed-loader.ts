import { AppError } from '../../../kernel/index.ts';
import type { LoadedText } from '../loaded-text.ts';
import { loadDocx } from './docx-loader.ts';
import { mainPartOf, treeOf } from './office-package.ts';
import { createUnpackBudget } from './unpack-budget.ts';
import { loadXlsx } from './xlsx-loader.ts';
import { childrenOf } from './xml-reader.ts';
import { openZip, type ZipArchive } from './zip-archive.ts';

/** What a ZIP archive is, told by what it holds and not by its name. */
type PackedKind = 'docx' | 'xlsx' | 'unknown';

/** Main parts of Office Open XML packages by their content types, without templates' and macros' variants of them. */
const MAIN_PARTS: readonly (readonly [RegExp, PackedKind])[] = [
  [/wordprocessingml\.(document|template)\.main|ms-word\.(document|template)\.macroenabled/i, 'docx'],
  [/spreadsheetml\.(sheet|template)\.main|ms-excel\.(sheet|template|addin)\.macroenabled/i, 'xlsx'],
];

/**
 * Reads a document that is a ZIP archive: Word, Excel.
 *
 * @throws AppError `unsupported_file_type`, and as the loaders of the formats do.
 */
export async function loadPacked(
  bytes: Uint8Array,
  source: { readonly name: string },
  { maxCharacters }: { readonly maxCharacters: number },
): Promise<LoadedText> {
  const { name } = source;
  const archive = openZip(bytes, createUnpackBudget(name));
  const file = { archive, name, maxCharacters };
  switch (await kindOf(archive, name)) {
    case 'docx':
      return loadDocx(file);
    case 'xlsx':
      return loadXlsx(file);
    case 'unknown':
      throw new AppError('unsupported_file_type', `"${name}" is a ZIP archive of a kind that cannot be trained on.`);
  }
}

async function kindOf(archive: ZipArchive, name: string): Promise<PackedKind> {
  const file = { archive, name, maxCharacters: 0 };
  const types = await treeOf(file, '[Content_Types].xml');
  if (types === undefined) return 'unknown';
  const main = `/${await mainPartOf(file)}`;
  const type = childrenOf(types).find(({ attributes }) => attributes['PartName'] === main)?.attributes['ContentType'];
  return MAIN_PARTS.find(([pattern]) => pattern.test(type ?? ''))?.[1] ?? 'unknown';
}
