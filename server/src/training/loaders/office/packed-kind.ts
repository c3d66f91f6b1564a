import { mainPartOf, type PackedFile, treeOf } from './office-package.ts';
import { childrenOf } from './xml-reader.ts';

/** What a ZIP archive is, told by what it holds and not by its name. */
export type PackedKind = 'docx' | 'xlsx' | 'pptx' | 'odt' | 'ods' | 'odp' | 'epub' | 'archive' | 'unknown';

/** Main parts of Office Open XML packages by their content types, those of templates and with macros among them. */
const MAIN_PARTS: readonly (readonly [RegExp, PackedKind])[] = [
  [/wordprocessingml\.(?:document|template)\.main|ms-word\.(?:document|template)\.macroenabled/i, 'docx'],
  [/spreadsheetml\.(?:sheet|template)\.main|ms-excel\.(?:sheet|template|addin)\.macroenabled/i, 'xlsx'],
  [/presentationml\.(?:presentation|slideshow|template)\.main|ms-powerpoint\.\w+\.macroenabled/i, 'pptx'],
];

const MEDIA_TYPES: readonly (readonly [RegExp, PackedKind])[] = [
  [/opendocument\.text/, 'odt'],
  [/opendocument\.spreadsheet/, 'ods'],
  [/opendocument\.presentation/, 'odp'],
  [/epub\+zip/, 'epub'],
  [/opendocument\./, 'unknown'],
];
const LONGEST_MEDIA_TYPE = 200;

/**
 * @throws AppError as `readXml` does.
 */
export async function packedKindOf(file: PackedFile): Promise<PackedKind> {
  const { archive } = file;
  const entry = archive.find('mimetype');
  if (entry !== undefined && entry.size <= LONGEST_MEDIA_TYPE) {
    const mediaType = Buffer.from(await archive.read(entry)).toString('latin1');
    const kind = MEDIA_TYPES.find(([pattern]) => pattern.test(mediaType))?.[1];
    if (kind !== undefined) return kind;
  }
  if (archive.find('META-INF/container.xml') !== undefined) return 'epub';
  const types = await treeOf(file, '[Content_Types].xml');
  if (types === undefined) return 'archive';
  const main = `/${await mainPartOf(file)}`.toLowerCase();
  const type = childrenOf(types).find(({ attributes }) => attributes['PartName']?.toLowerCase() === main);
  return MAIN_PARTS.find(([pattern]) => pattern.test(type?.attributes['ContentType'] ?? ''))?.[1] ?? 'unknown';
}
