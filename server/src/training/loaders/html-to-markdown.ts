import { createRequire } from 'node:module';

/** The little of the DOM that reading needs; linkedom fills it. */
export interface HtmlNode {
  readonly nodeName: string;
  readonly nodeType: number;
  readonly textContent: string | null;
  readonly childNodes: Iterable<HtmlNode> & { readonly length: number };
  readonly parentNode: HtmlNode | null;
  remove(): void;
}

export interface HtmlElement extends HtmlNode {
  readonly children: Iterable<HtmlElement> & { readonly length: number };
  innerHTML: string;
  getAttribute(name: string): string | null;
  hasAttribute(name: string): boolean;
  querySelector(selector: string): HtmlElement | null;
  querySelectorAll(selector: string): Iterable<HtmlElement> & { readonly length: number };
}

interface Turndown {
  turndown(root: HtmlElement): string;
  addRule(
    name: string,
    rule: {
      readonly filter: readonly string[];
      readonly replacement: (content: string, node: HtmlElement) => string;
    },
  ): Turndown;
  remove(names: readonly string[]): Turndown;
  escape(text: string): string;
}

type TurndownConstructor = new (options: Readonly<Record<string, string>>) => Turndown;

/** Makes Markdown of an element; also of tables. Text is not escaped: it is stored to be searched and quoted. */
export type HtmlToMarkdown = (root: HtmlElement) => string;

/** Turndown with rules for tables and without escapes. It ships no types, hence `require`. */
export function createHtmlToMarkdown(): HtmlToMarkdown {
  const require = createRequire(import.meta.url);
  const Service: TurndownConstructor = require('turndown');
  const service = new Service({
    headingStyle: 'atx',
    codeBlockStyle: 'fenced',
    bulletListMarker: '-',
    emDelimiter: '*',
    hr: '---',
  });
  service.escape = (text) => text;
  service.remove([
    'script',
    'style',
    'noscript',
    'template',
    'head',
    'title',
    'iframe',
    'object',
    'button',
    'select',
    'svg',
    'input',
    'textarea',
  ]);
  service
    .addRule('image', { filter: ['img'], replacement: (_, node) => oneLine(node.getAttribute('alt') ?? '') })
    .addRule('link', { filter: ['a'], replacement: linkText })
    .addRule('cell', { filter: ['td', 'th'], replacement: (content) => ` ${cellText(content)} |` })
    .addRule('row', { filter: ['tr'], replacement: rowText })
    .addRule('caption', { filter: ['caption'], replacement: (content) => `\n\n${oneLine(content)}\n\n` })
    .addRule('tableParts', { filter: ['thead', 'tbody', 'tfoot'], replacement: (content) => content })
    .addRule('table', { filter: ['table'], replacement: (content) => `\n\n${content.trim()}\n\n` })
    .addRule('term', { filter: ['dt'], replacement: (content) => `\n\n**${oneLine(content)}**\n` })
    .addRule('definition', { filter: ['dd'], replacement: (content) => `\n${content.trim()}\n` });
  return (root) => service.turndown(root);
}

function linkText(content: string, node: HtmlElement): string {
  const text = oneLine(content);
  const target = node.getAttribute('href')?.trim() ?? '';
  if (text === '' || !/^(https?:|mailto:|tel:|\/|\.)/i.test(target)) return content;
  return `[${text}](${target.replace(/\s/g, '%20').replace(/[()]/g, (bracket) => (bracket === '(' ? '%28' : '%29'))})`;
}

function rowText(content: string, node: HtmlElement): string {
  const cells = [...node.children];
  const row = `|${content.replace(/\n/g, ' ')}`;
  if (!isFirstRow(node)) return `${row}\n`;
  return `\n${row}\n|${' --- |'.repeat(cells.length)}\n`;
}

/** The first row stands for the header: Markdown knows no table without one. */
function isFirstRow(row: HtmlElement): boolean {
  const section = row.parentNode;
  if (section === null || firstElement(section) !== row) return false;
  if (section.nodeName === 'TABLE') return true;
  const table = section.parentNode;
  return table === null || [...table.childNodes].find((node) => hasRows(node)) === section;
}

function firstElement(parent: HtmlNode): HtmlNode | undefined {
  return [...parent.childNodes].find((node) => node.nodeName === 'TR');
}

function hasRows(node: HtmlNode): boolean {
  return /^(THEAD|TBODY|TFOOT)$/.test(node.nodeName) && firstElement(node) !== undefined;
}

function cellText(content: string): string {
  return oneLine(content).replace(/(?<!\\)\|/g, '\\|');
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
