import { AppError } from '../../kernel/index.ts';
import type { LoadedText } from './loaded-text.ts';
import { pipeTable } from './pipe-table.ts';
import { type RichTextToken, richTextTokens } from './rich-text-tokens.ts';
import { cleanText } from './text-cleaning.ts';
import { decodeWindows1252 } from './text-encoding.ts';

/** Groups that hold no text of the document. Headers and footers repeat on every page. */
const SKIPPED = new Set([
  ...['fonttbl', 'colortbl', 'stylesheet', 'listtable', 'listoverridetable', 'revtbl', 'rsidtbl', 'generator'],
  ...[
    'pict',
    'object',
    'objdata',
    'shppict',
    'nonshppict',
    'themedata',
    'colorschememapping',
    'latentstyles',
    'datastore',
  ],
  ...['header', 'headerl', 'headerr', 'headerf', 'footer', 'footerl', 'footerr', 'footerf', 'fldinst', 'bkmkstart'],
  ...['bkmkend', 'annotation', 'atnid', 'atnauthor', 'atrfstart', 'atrfend', 'xmlnstbl', 'filetbl', 'info', 'pntxta'],
  ...['pntxtb', 'xe', 'tc', 'txe', 'rxe', 'wgrffmtfilter', 'mmathPr', 'listpicture', 'pgdsctbl', 'fontemb', 'falt'],
]);
/** Destinations behind `\*` that do hold text; all others are skipped, as the specification asks. */
const KNOWN_OPTIONAL = new Set(['pntext', 'shptxt', 'footnote']);
const SYMBOLS: Readonly<Record<string, string>> = {
  ...{ tab: ' ', line: '\n', emdash: '—', endash: '–', lquote: '‘', rquote: '’', ldblquote: '“', rdblquote: '”' },
  ...{ bullet: '•', emspace: ' ', enspace: ' ', qmspace: ' ', softline: '\n' },
};
/** Windows code pages by the number that `\ansicpg` gives, as the Encoding standard calls them. */
const CODE_PAGES: Readonly<Record<number, string>> = {
  932: 'shift_jis',
  936: 'gbk',
  949: 'euc-kr',
  950: 'big5',
  10000: 'macintosh',
};
const DEEPEST = 500;

/** What a group inherits from the one around it. */
interface Group {
  readonly skipped: boolean;
  /** Characters behind `\u` that stand in for it in old readers. */
  readonly fallback: number;
  /** Written when the group ends. */
  readonly closing?: string;
}

/** A document in the making. */
interface Making {
  readonly name: string;
  decode: (bytes: Uint8Array) => string;
  readonly groups: Group[];
  group: Group;
  optional: boolean;
  bytes: number[];
  skipCharacters: number;
  paragraph: string;
  outlineLevel: number | null;
  isItem: boolean;
  cell: string;
  row: string[] | null;
  table: string[][];
  readonly blocks: string[];
}

/**
 * Reads Rich Text Format: paragraphs, headings by outline level, lists, tables and footnotes. Pictures, fields' codes,
 * comments, headers and footers are left out.
 *
 * @throws AppError `parse_failed` when groups are nested more than 500 deep.
 */
export function loadRichText(bytes: Uint8Array, name: string): LoadedText {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  const group = { skipped: false, fallback: 1 };
  const making: Making = {
    name,
    decode: decodeWindows1252,
    groups: [],
    group,
    optional: false,
    bytes: [],
    skipCharacters: 0,
    paragraph: '',
    outlineLevel: null,
    isItem: false,
    cell: '',
    row: null,
    table: [],
    blocks: [],
  };
  for (const token of richTextTokens(source)) take(token, making);
  endBytes(making);
  endParagraph(making);
  endTable(making);
  const text = cleanText(making.blocks.join('\n\n'));
  return { title: /^# (.+)$/m.exec(text.slice(0, 2_000))?.[1] ?? null, text, layout: 'markdown' };
}

function take(token: RichTextToken, making: Making): void {
  if (token.type !== 'byte') endBytes(making);
  switch (token.type) {
    case 'open':
      if (making.groups.length >= DEEPEST) {
        throw new AppError('parse_failed', `"${making.name}" is nested too deeply. Save it again, as DOCX or RTF.`);
      }
      making.groups.push(making.group);
      making.optional = false;
      return;
    case 'close':
      if (making.group.closing !== undefined && making.groups.at(-1)?.closing === undefined)
        write(making.group.closing, making);
      making.group = making.groups.pop() ?? { skipped: false, fallback: 1 };
      making.skipCharacters = 0;
      return;
    case 'byte':
      if (making.skipCharacters > 0) making.skipCharacters -= 1;
      else if (!making.group.skipped) making.bytes.push(token.value);
      return;
    case 'text':
      write(decodeRaw(token.text.slice(making.skipCharacters), making), making);
      making.skipCharacters = Math.max(0, making.skipCharacters - token.text.length);
      return;
    case 'word':
      takeWord(token, making);
  }
}

function takeWord({ word, value }: { readonly word: string; readonly value: number | null }, making: Making): void {
  if (word === '*') {
    making.optional = true;
    return;
  }
  if (SKIPPED.has(word) || (making.optional && !KNOWN_OPTIONAL.has(word))) {
    making.group = { ...making.group, skipped: true };
  }
  making.optional = false;
  if (making.group.skipped) return;
  const symbol = SYMBOLS[word];
  if (symbol !== undefined) write(symbol, making);
  else if (word === 'u' && value !== null) writeUnicode(value, making);
  else if (word === 'uc') making.group = { ...making.group, fallback: value ?? 1 };
  else if (word === 'ansicpg') making.decode = decoderOf(value ?? 1_252);
  else if (word === 'footnote') beginNote(making);
  else takeLayout(word, value, making);
}

function takeLayout(word: string, value: number | null, making: Making): void {
  switch (word) {
    case 'par':
    case 'sect':
    case 'page':
      if (making.row === null) endParagraph(making);
      else making.cell += ' ';
      return;
    case 'pard':
      making.outlineLevel = null;
      making.isItem = false;
      return;
    case 'outlinelevel':
      making.outlineLevel = value;
      return;
    case 'pntext':
    case 'ilvl':
    case 'ls':
      making.isItem = true;
      if (word === 'pntext') making.group = { ...making.group, skipped: true };
      return;
    case 'trowd':
      beginRow(making);
      return;
    case 'intbl':
      beginRow(making);
      return;
    case 'cell':
    case 'nestcell':
      beginRow(making);
      making.row?.push(making.cell);
      making.cell = '';
      return;
    case 'row':
      if (making.row !== null && making.row.length > 0) making.table.push(making.row);
      making.row = null;
      making.cell = '';
  }
}

/** Not every writer defines each row anew: text that is in a table begins one too. */
function beginRow(making: Making): void {
  if (making.row === null) endParagraph(making);
  making.row ??= [];
}

function write(text: string, making: Making): void {
  if (making.group.skipped || text === '') return;
  if (making.row !== null) {
    making.cell += text;
    return;
  }
  if (making.table.length > 0 && text.trim() !== '') endTable(making);
  making.paragraph += text;
}

function beginNote(making: Making): void {
  write(' (Note: ', making);
  making.group = { ...making.group, closing: ')' };
}

/** Text should be ASCII; bytes above it are of the code page too. */
function decodeRaw(text: string, { decode }: Making): string {
  return /[\x80-\xFF]/.test(text) ? decode(Buffer.from(text, 'latin1')) : text;
}

function writeUnicode(value: number, making: Making): void {
  write(String.fromCharCode(value < 0 ? value + 65_536 : value), making);
  making.skipCharacters = making.group.fallback;
}

/** Bytes are decoded together: a character of a double-byte code page is two of them. */
function endBytes(making: Making): void {
  if (making.bytes.length === 0) return;
  const text = making.decode(Uint8Array.from(making.bytes));
  making.bytes = [];
  write(text, making);
}

function endParagraph(making: Making): void {
  const text = making.paragraph.trim();
  making.paragraph = '';
  if (text === '') return;
  const { outlineLevel, isItem } = making;
  if (outlineLevel !== null && outlineLevel >= 0 && outlineLevel < 6 && text.length < 300) {
    making.blocks.push(`${'#'.repeat(outlineLevel + 1)} ${text.replace(/\s+/g, ' ')}`);
  } else making.blocks.push(isItem ? `- ${text.replace(/^[•·\-*]\s*/, '')}` : text);
}

function endTable(making: Making): void {
  if (making.table.length > 0) making.blocks.push(pipeTable(making.table));
  making.table = [];
}

function decoderOf(codePage: number): (bytes: Uint8Array) => string {
  const label = CODE_PAGES[codePage] ?? (codePage === 65_001 ? 'utf-8' : `windows-${codePage}`);
  try {
    const decoder = new TextDecoder(label);
    return decoder.encoding === 'windows-1252' ? decodeWindows1252 : (bytes) => decoder.decode(bytes);
  } catch {
    return decodeWindows1252;
  }
}
