import { TextDecoder } from 'node:util';
import { SaxesParser, type SaxesTagNS } from 'saxes';
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
const RELATIONSHIPS = /\/relationships$/;

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

function createParser(name: string, handlers: XmlHandlers): SaxesParser<{ xmlns: true }> {
  const parser = new SaxesParser({ xmlns: true });
  let depth = 0;
  /** The open elements of the unit that is being built; empty outside units. */
  const open: Building[] = [];
  const addText = (text: string): void => {
    open.at(-1)?.children.push(text);
  };
  parser.on('error', (cause) => {
    throw broken(name, 'it holds damaged XML', cause);
  });
  parser.on('doctype', (declaration) => {
    if (declaration.includes('[')) throw broken(name, 'its XML declares entities, which is not allowed');
  });
  parser.on('text', addText);
  parser.on('cdata', addText);
  parser.on('opentag', (tag) => {
    depth += 1;
    if (depth > DEEPEST) throw broken(name, 'its XML is nested too deep');
    const element: Building = { name: tag.local, attributes: attributesOf(tag), children: [] };
    if (open.length > 0 || handlers.isUnit(tag.local)) {
      open.at(-1)?.children.push(element);
      open.push(element);
    } else handlers.onOpen?.(element);
  });
  parser.on('closetag', (tag) => {
    depth -= 1;
    const unit = open.pop();
    if (unit === undefined) handlers.onClose?.(tag.local);
    else if (open.length === 0) handlers.onUnit(unit);
  });
  return parser;
}

function attributesOf(tag: SaxesTagNS): Readonly<Record<string, string>> {
  const attributes: Record<string, string> = Object.create(null);
  for (const attribute of Object.values(tag.attributes)) {
    const key = RELATIONSHIPS.test(attribute.uri) ? `r:${attribute.local}` : attribute.local;
    attributes[key] ??= attribute.value;
  }
  return attributes;
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
