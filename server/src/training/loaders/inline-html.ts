import { removeBetween, replaceBetween } from '../chunking/text-ranges.ts';

/** Elements that hold nothing to read. */
const SILENT = ['script', 'style', 'template', 'noscript', 'iframe', 'object', 'svg', 'head'];
const BLOCKS =
  'address|article|aside|blockquote|body|center|dd|details|dialog|div|dl|dt|fieldset|figcaption|figure|footer|form|header|hr|html|legend|main|nav|ol|p|pre|section|summary|table|tbody|td|tfoot|th|thead|tr|ul';
const INLINES =
  'a|abbr|acronym|audio|b|bdi|bdo|big|button|cite|code|data|del|dfn|em|embed|font|i|img|input|ins|kbd|label|link|mark|meta|nobr|option|picture|q|s|samp|select|small|source|span|strike|strong|sub|sup|textarea|time|tt|u|var|video|wbr';
const ATTRIBUTES = '(?:[\\s/][^<>]{0,2000})?';
const tagPattern = (names: string, slash = '/?'): RegExp => new RegExp(`<${slash}(?:${names})${ATTRIBUTES}>`, 'gi');

const INDENTED_TAG = new RegExp(`^[ \\t]+(?=</?(?:${BLOCKS}|${INLINES}|br|li|h[1-6])[\\s/>])`, 'gim');
const HEADING = /<h([1-6])(?:\s[^<>]{0,2000})?>\s*/gi;
const LIST_ITEM = tagPattern('li', '');
const LINE_BREAK = tagPattern('br');
const TABLE_ROW = /^[ \t]*\|.*$/gm;
const BLOCK_TAG = tagPattern(BLOCKS);
const LEFT_OVER = tagPattern(`${INLINES}|li|h[1-6]`);
const AUTOLINK = /<((?:https?|mailto|tel):[^<>\s]{1,2000}|[\w.+-]{1,64}@[\w.-]{1,255})>/gi;
const ENTITY = /&(#\d{1,7}|#x[\da-f]{1,6}|[a-z]{2,8}\d?);/gi;

const NAMED_ENTITIES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    amp: '&',
    lt: '<',
    gt: '>',
    quot: '"',
    apos: "'",
    nbsp: ' ',
    ensp: ' ',
    emsp: ' ',
    thinsp: ' ',
    ndash: '–',
    mdash: '—',
    hellip: '…',
    lsquo: '‘',
    rsquo: '’',
    ldquo: '“',
    rdquo: '”',
    laquo: '«',
    raquo: '»',
    bull: '•',
    middot: '·',
    copy: '©',
    reg: '®',
    trade: '™',
    deg: '°',
    sect: '§',
    para: '¶',
    times: '×',
    divide: '÷',
    plusmn: '±',
    euro: '€',
    pound: '£',
    yen: '¥',
    cent: '¢',
    larr: '←',
    uarr: '↑',
    rarr: '→',
    darr: '↓',
    check: '✓',
    auml: 'ä',
    ouml: 'ö',
    uuml: 'ü',
    Auml: 'Ä',
    Ouml: 'Ö',
    Uuml: 'Ü',
    szlig: 'ß',
    eacute: 'é',
    egrave: 'è',
    agrave: 'à',
    ccedil: 'ç',
    ntilde: 'ñ',
  }),
);

/**
 * Takes HTML out of Markdown prose and keeps what it says: comments, scripts and styles go with their content, headings
 * and list items become Markdown, all other known tags vanish. `<T>` and other angle brackets that are no HTML stay.
 */
export function stripInlineHtml(markdown: string, convertTable: (html: string) => string): string {
  if (!markdown.includes('<')) return decodeEntities(markdown);
  let text = removeBetween(markdown, '<!--', '-->');
  for (const name of SILENT)
    text = removeBetween(text, new RegExp(`<${name}[\\s>]`, 'gi'), new RegExp(`</${name}\\s*>`, 'gi'));
  text = replaceBetween(
    text,
    { opening: /<table[\s>]/gi, closing: /<\/table\s*>/gi },
    (table) => `\n\n${convertTable(table)}\n\n`,
  );
  text = text
    .replace(INDENTED_TAG, '')
    .replace(HEADING, (_, level: string) => `\n\n${'#'.repeat(Number(level))} `)
    .replace(LIST_ITEM, '\n- ')
    .replace(TABLE_ROW, (row) => row.replace(LINE_BREAK, ' '))
    .replace(LINE_BREAK, '\n')
    .replace(BLOCK_TAG, '\n')
    .replace(LEFT_OVER, '')
    .replace(AUTOLINK, '$1');
  return decodeEntities(text);
}

function decodeEntities(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(ENTITY, (entity, name: string) => {
    if (!name.startsWith('#')) return NAMED_ENTITIES.get(name) ?? entity;
    const codePoint = Number(/^#x/i.test(name) ? `0${name.slice(1)}` : name.slice(1));
    return codePoint > 0 && codePoint <= 0x10_ff_ff ? String.fromCodePoint(codePoint) : '';
  });
}
