import { TextDecoder } from 'node:util';
import { SaxesParser } from 'saxes';
import { broken } from './zip-directory.ts';

/** An element with all that is in it. */
export interface XmlElement {
  /** Without prefix. */
  readonly name: string;
  /** By name without prefix; of an attribute in the namespace of Office relationships, by `r:` and its name. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlNode[];
}

export type XmlNode = XmlElement | string;

export interface XmlHandlers {
  /** Which elements are built whole and handed over; none is looked for inside another. */
  isUnit(name: string): boolean;
  onUnit(unit: XmlElement): void;
  /** Other elements, as they open: without children. */
  onOpen?(element: XmlElement): void;
  onClose?(name: string): void;
}

const DEEPEST = 256;
const RELATIONSHIPS = '/relationships';

const EMPTY: XmlElement = { name: '', attributes: {}, children: [] };

type Building = XmlElement & { readonly children: XmlNode[] };

/**
 * Reads XML as a stream, with memory for one unit at a time. Document types that declare anything are refused and
 * nothing outside the bytes is read, so that there are no entities to expand.
 *
 * @throws AppError `parse_failed` when it is not well-formed, nested too deep or declares entities, with `name` as the
 *   input's name.
 */
export async function readXml(pieces: AsyncIterable<Uint8Array>, name: string, handlers: XmlHandlers): Promise<void> {
  const parser = createParser(name, handlers);
  let decoder: TextDecoder | null = null;
  for await (const piece of pieces) {
    decoder ??= new TextDecoder(encodingOf(piece));
    parser.write(decoder.decode(piece, { stream: true }));
  }
  parser.write(decoder?.decode() ?? '');
  parser.close();
}

/** The root element of a small part, whole. Errors as of `readXml`. */
export async function readXmlTree(pieces: AsyncIterable<Uint8Array>, name: string): Promise<XmlElement> {
  let root: XmlElement | null = null;
  await readXml(pieces, name, {
    isUnit: () => true,
    onUnit(unit) {
      root = unit;
    },
  });
  return root ?? EMPTY;
}

function createParser(input: string, handlers: XmlHandlers): SaxesParser {
  const parser = new SaxesParser();
  const linkPrefixes = new Set<string>();
  let depth = 0;
  /** The open elements of the unit that is being built; empty outside units. */
  const open: Building[] = [];
  const addText = (text: string): void => {
    open.at(-1)?.children.push(text);
  };
  parser.on('error', (cause) => {
    throw broken(input, 'it holds damaged XML', cause);
  });
  parser.on('doctype', (declaration) => {
    if (declaration.includes('[')) throw broken(input, 'its XML declares entities, which is not allowed');
  });
  parser.on('text', addText);
  parser.on('cdata', addText);
  parser.on('opentag', (tag) => {
    depth += 1;
    if (depth > DEEPEST) throw broken(input, 'its XML is nested too deep');
    const name = localName(tag.name);
    const element: Building = { name, attributes: attributesOf(tag.attributes, linkPrefixes), children: [] };
    if (open.length > 0 || handlers.isUnit(name)) {
      open.at(-1)?.children.push(element);
      open.push(element);
    } else handlers.onOpen?.(element);
  });
  parser.on('closetag', (tag) => {
    depth -= 1;
    const unit = open.pop();
    if (unit === undefined) handlers.onClose?.(localName(tag.name));
    else if (open.length === 0) handlers.onUnit(unit);
  });
  return parser;
}

/** Prefixes are taken as they are declared anywhere: resolving each name would take longer than all else. */
function attributesOf(given: Readonly<Record<string, string>>, linkPrefixes: Set<string>): Record<string, string> {
  const names = Object.keys(given);
  const attributes: Record<string, string> = {};
  for (const name of names) {
    if (name.startsWith('xmlns:') && given[name]?.endsWith(RELATIONSHIPS)) linkPrefixes.add(name.slice(6));
  }
  for (const name of names) {
    const colon = name.indexOf(':');
    const local = colon < 0 ? name : name.slice(colon + 1);
    const isLink = colon > 0 && linkPrefixes.has(name.slice(0, colon));
    attributes[isLink ? `r:${local}` : local] ??= given[name] ?? '';
  }
  return attributes;
}

function localName(name: string): string {
  return name.slice(name.indexOf(':') + 1);
}

function encodingOf(start: Uint8Array): string {
  if (start[0] === 0xff && start[1] === 0xfe) return 'utf-16le';
  return start[0] === 0xfe && start[1] === 0xff ? 'utf-16be' : 'utf-8';
}

/** The first element of that name among the children. */
export function childOf(element: XmlElement | undefined, name: string): XmlElement | undefined {
  return element?.children.find((child): child is XmlElement => typeof child !== 'string' && child.name === name);
}

/** The children that are elements; of that name, when one is given. */
export function childrenOf(element: XmlElement | undefined, name?: string): readonly XmlElement[] {
  if (element === undefined) return [];
  return element.children.filter(
    (child): child is XmlElement => typeof child !== 'string' && (name === undefined || child.name === name),
  );
}

/** Elements of that name at any depth, outermost ones only. */
export function descendantsOf(element: XmlElement | undefined, name: string): readonly XmlElement[] {
  return childrenOf(element).flatMap((child) => (child.name === name ? [child] : descendantsOf(child, name)));
}

/** All text in it. */
export function textOf(node: XmlNode | undefined): string {
  if (node === undefined) return '';
  return typeof node === 'string' ? node : node.children.map(textOf).join('');
}
