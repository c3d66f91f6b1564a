import { plainHeading } from '../markdown-loader.ts';
import { oneLine } from './markdown-writer.ts';
import { childOf, childrenOf, readXml, readXmlTree, textOf, type XmlElement, type XmlHandlers } from './xml-reader.ts';
import type { ZipArchive } from './zip-archive.ts';
import { broken } from './zip-directory.ts';

/** An opened archive that is one document. */
export interface PackedFile {
  readonly archive: ZipArchive;
  readonly name: string;
  readonly maxCharacters: number;
}

/** A link from one part of an Office Open XML package to another (ECMA-376 part 2), or to a place outside. */
export interface Relationship {
  /** Last word of its type: `slide`, `hyperlink`. */
  readonly type: string;
  /** Name of the part, or the address outside. */
  readonly target: string;
  readonly isExternal: boolean;
}

/** The part's links by their ids; none when it has no such part. */
export async function relationshipsOf(file: PackedFile, part: string): Promise<ReadonlyMap<string, Relationship>> {
  const folder = part.includes('/') ? part.slice(0, part.lastIndexOf('/') + 1) : '';
  const root = await treeOf(file, `${folder}_rels/${part.slice(folder.length)}.rels`);
  return new Map(
    childrenOf(root, 'Relationship').map(({ attributes }) => {
      const isExternal = attributes['TargetMode'] === 'External';
      const target = attributes['Target'] ?? '';
      const type = attributes['Type']?.split('/').at(-1) ?? '';
      return [attributes['Id'] ?? '', { type, target: isExternal ? target : resolvePath(folder, target), isExternal }];
    }),
  );
}

/** The part that the package is about: the document, the workbook or the presentation. */
export async function mainPartOf(file: PackedFile): Promise<string> {
  const links = await relationshipsOf(file, '');
  const part = [...links.values()].find(({ type }) => type === 'officeDocument')?.target;
  if (part === undefined || file.archive.find(part) === undefined) throw broken(file.name, 'its main part is missing');
  return part;
}

/** The first part that a link of that type leads to. */
export function partOfType(links: ReadonlyMap<string, Relationship>, type: string): string | undefined {
  return [...links.values()].find((link) => link.type === type && !link.isExternal)?.target;
}

/** Streams a part through the handlers; does nothing when there is no such part. */
export async function streamPart(file: PackedFile, part: string | undefined, handlers: XmlHandlers): Promise<void> {
  const entry = part === undefined ? undefined : file.archive.find(part);
  if (entry !== undefined) await readXml(file.archive.stream(entry), file.name, handlers);
}

/** The root element of a small part; undefined when there is no such part. */
export async function treeOf(file: PackedFile, part: string | undefined): Promise<XmlElement | undefined> {
  const entry = part === undefined ? undefined : file.archive.find(part);
  return entry === undefined ? undefined : readXmlTree(file.archive.stream(entry), file.name);
}

/** The title in the properties of the document, if it has one. */
export async function propertyTitle(file: PackedFile): Promise<string | null> {
  const root = await treeOf(file, 'docProps/core.xml');
  return titleText(textOf(childOf(root, 'title')));
}

/** Null when there is nothing in it, or what programs write of their own accord. */
export function titleText(text: string): string | null {
  const title = plainHeading(oneLine(text));
  return title === '' ||
    /^(?:(?:powerpoint|word|excel|untitled) ?)?(?:presentation|document|untitled)?\d*$/i.test(title)
    ? null
    : title;
}

/** Resolves a path against the folder (with its `/`) of the part that names it; one that begins with `/` is from the root. */
export function resolvePath(folder: string, target: string): string {
  const parts: string[] = [];
  for (const part of (target.startsWith('/') ? target : folder + target).split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}
