import { strToU8, zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { loadContent } from '../content-loader.ts';
import { isMultiple, type LoadedText } from '../loaded-text.ts';

const OFFICE = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships';
const NAMESPACES = [
  'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"',
  'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"',
  'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"',
  'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"',
  'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"',
  `xmlns:r="${OFFICE}"`,
].join(' ');

type Parts = Readonly<Record<string, string | undefined>>;

function pack(parts: Parts): Uint8Array {
  const given = Object.entries(parts).filter((part): part is [string, string] => part[1] !== undefined);
  return zipSync(Object.fromEntries(given.map(([name, text]) => [name, strToU8(text)])));
}

/** `links` are `id type target`, external ones with an address. */
function relationships(links: readonly string[]): string {
  const items = links.map((link) => {
    const [id, type, target = ''] = link.split(' ');
    const mode = /^\w+:/.test(target) ? ' TargetMode="External"' : '';
    return `<Relationship Id="${id}" Type="${OFFICE}/${type}" Target="${target}"${mode}/>`;
  });
  return `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">${items.join('')}</Relationships>`;
}

function officePackage(main: { readonly name: string; readonly type: string }, parts: Parts): Uint8Array {
  return pack({
    '[Content_Types].xml': `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Override PartName="/${main.name}" ContentType="application/vnd.openxmlformats-officedocument.${main.type}.main+xml"/></Types>`,
    '_rels/.rels': relationships([`rId1 officeDocument ${main.name}`]),
    ...parts,
  });
}

interface WordParts {
  readonly styles?: string;
  readonly numbering?: string;
  readonly footnotes?: string;
  readonly core?: string;
  readonly links?: readonly string[];
}

function docx(body: string, { styles, numbering, footnotes, core, links = [] }: WordParts = {}): Uint8Array {
  const wrap = (name: string, content: string | undefined): string | undefined =>
    content === undefined ? undefined : `<?xml version="1.0"?><w:${name} ${NAMESPACES}>${content}</w:${name}>`;
  const own = ['s styles styles.xml', 'n numbering numbering.xml', 'f footnotes footnotes.xml'];
  return officePackage(
    { name: 'word/document.xml', type: 'wordprocessingml.document' },
    {
      'word/document.xml': wrap('document', `<w:body>${body}<w:sectPr/></w:body>`),
      'word/_rels/document.xml.rels': relationships([...own, ...links]),
      'word/styles.xml': wrap('styles', styles),
      'word/numbering.xml': wrap('numbering', numbering),
      'word/footnotes.xml': wrap('footnotes', footnotes),
      'docProps/core.xml': core === undefined ? undefined : `<c xmlns:dc="d"><dc:title>${core}</dc:title></c>`,
    },
  );
}

const run = (text: string): string => `<w:r><w:t xml:space="preserve">${text}</w:t></w:r>`;
const paragraph = (text: string, properties = ''): string => `<w:p><w:pPr>${properties}</w:pPr>${run(text)}</w:p>`;
const styled = (style: string, text: string): string => paragraph(text, `<w:pStyle w:val="${style}"/>`);
const item = (text: string, level = 0, list = 1): string =>
  paragraph(text, `<w:numPr><w:ilvl w:val="${level}"/><w:numId w:val="${list}"/></w:numPr>`);
const cell = (text: string, properties = ''): string =>
  `<w:tc><w:tcPr>${properties}</w:tcPr>${text.startsWith('<') ? text : paragraph(text)}</w:tc>`;
const row = (...cells: readonly string[]): string => `<w:tr>${cells.join('')}</w:tr>`;
const STYLES = `<w:style w:type="paragraph" w:styleId="Titel"><w:name w:val="Title"/></w:style>
  <w:style w:type="paragraph" w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>
  <w:style w:type="paragraph" w:styleId="Sub"><w:name w:val="Our heading"/><w:basedOn w:val="H2"/></w:style>
  <w:style w:type="paragraph" w:styleId="H2"><w:name w:val="Own"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>
  <w:style w:type="paragraph" w:styleId="TOC1"><w:name w:val="toc 1"/></w:style>`;
const NUMBERING = `<w:abstractNum w:abstractNumId="0">
    <w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>
    <w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%2)"/></w:lvl>
    <w:lvl w:ilvl="2"><w:start w:val="1"/><w:numFmt w:val="upperRoman"/><w:lvlText w:val="%1.%3"/></w:lvl></w:abstractNum>
  <w:abstractNum w:abstractNumId="1"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText w:val="\uF0B7"/></w:lvl></w:abstractNum>
  <w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>
  <w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>
  <w:num w:numId="3"><w:abstractNumId w:val="0"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="7"/></w:lvlOverride></w:num>`;

async function load(bytes: Uint8Array, name: string): Promise<LoadedText> {
  const loaded = await loadContent(bytes, { name, mediaType: '' }, { maxCharacters: 100_000 });
  if (isMultiple(loaded)) throw new Error('Several texts');
  return loaded;
}

describe('Word', () => {
  const textOf = async (body: string, parts: WordParts = {}) => (await load(docx(body, parts), 'a.docx')).text;

  it('knows headings by style, by what styles are based on and by outline level, below the title', async () => {
    const body =
      styled('TOC1', 'One ..... 3') +
      styled('Titel', 'The guide') +
      styled('berschrift1', 'One') +
      styled('Sub', 'Two') +
      paragraph('Three', '<w:outlineLvl w:val="2"/>') +
      paragraph('Text');
    expect(await load(docx(body, { styles: STYLES, core: 'Old name' }), 'a.docx')).toEqual({
      title: 'The guide',
      text: '# The guide\n\n## One\n\n### Two\n\n#### Three\n\nText',
      layout: 'markdown',
    });
    expect(await load(docx(paragraph('Text'), { core: 'The name' }), 'a.docx')).toMatchObject({ title: 'The name' });
  });

  it('numbers lists as they are printed', async () => {
    const body = [
      item('one'),
      item('one a', 1),
      item('one b', 1),
      item('deep', 2),
      item('two'),
      item('two a', 1),
      item('dot', 0, 2),
      item('seven', 0, 3),
      paragraph('End'),
      item('three'),
    ].join('');
    expect(await textOf(body, { numbering: NUMBERING })).toBe(
      '1. one\n   a) one a\n   b) one b\n      1.I deep\n2. two\n   a) two a\n- dot\n7. seven\n\nEnd\n\n3. three',
    );
  });

  it('keeps tables in order: merged downwards repeated, merged across once, tables within flattened', async () => {
    const inner = `<w:tbl>${row(cell('x'), cell('y'))}${row(cell('1'), cell('2'))}</w:tbl>`;
    const body = `<w:tbl>
      ${row(cell('Region'), cell('Plan | price', '<w:gridSpan w:val="2"/>'))}
      ${row(cell('North', '<w:vMerge w:val="restart"/>'), cell('Pro'), cell('5'))}
      ${row(cell('', '<w:vMerge/>'), cell('Team'), cell(inner))}
      </w:tbl>`;
    expect(await textOf(body)).toBe(
      '| Region | Plan \\| price |  |\n| --- | --- | --- |\n| North | Pro | 5 |\n| North | Team | x, y; 1, 2 |',
    );
    expect(await textOf(`<w:tbl>${row(cell(paragraph('Framed') + paragraph('text')))}</w:tbl>`)).toBe('Framed\n\ntext');
  });

  it('puts notes below the paragraph that refers to them', async () => {
    const note = (id: string, text: string) => `<w:footnote w:id="${id}">${paragraph(text)}</w:footnote>`;
    const mark = (id: string) => `<w:r><w:footnoteReference w:id="${id}"/></w:r>`;
    const body = `<w:p>${run('First')}${mark('8')}</w:p>${paragraph('Middle')}<w:p>${run('Last')}${mark('5')}</w:p>`;
    expect(await textOf(body, { footnotes: note('-1', '') + note('5', 'Note five') + note('8', 'Note eight') })).toBe(
      'First[^1]\n\n[^1]: Note eight\n\nMiddle\n\nLast[^2]\n\n[^2]: Note five',
    );
  });

  it('leaves out comments, deletions, hidden text and second copies; keeps insertions, boxes and links', async () => {
    const body = `<w:p>${run('Seen ')}<w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:ins>${run('new ')}</w:ins>
      <w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r><w:r><w:commentReference w:id="1"/></w:r>
      <w:hyperlink r:id="l1">${run('the site')}</w:hyperlink><w:hyperlink r:id="l2">${run(' and a file')}</w:hyperlink>
      <mc:AlternateContent><mc:Choice><w:txbxContent>${paragraph('In a box')}</w:txbxContent></mc:Choice>
      <mc:Fallback><w:txbxContent>${paragraph('In a box')}</w:txbxContent></mc:Fallback></mc:AlternateContent></w:p>`;
    const links = ['l1 hyperlink https://a.example/x(y)', 'l2 hyperlink file:///etc/passwd'];
    expect(await textOf(body, { links })).toBe(
      'Seen new [the site](https://a.example/x%28y%29) and a file\n\nIn a box',
    );
  });

  it('writes equations on one line', async () => {
    const r = (text: string) => `<m:r><m:t>${text}</m:t></m:r>`;
    const body = `<w:p><m:oMath>${r('y=')}<m:f><m:num>${r('a+b')}</m:num><m:den><m:sSup><m:e>${r('c')}</m:e><m:sup>${r('2')}</m:sup></m:sSup></m:den></m:f>${r('+sin\u2061')}${r('x')}</m:oMath></w:p>`;
    expect(await textOf(body)).toBe('y=(a+b)/(c^2)+sin x');
  });

  it('is known by what it is, not by its name', async () => {
    for (const name of ['a.bin', 'a.xlsx', 'a', 'a.txt']) {
      expect(await load(docx(paragraph('Hello')), name)).toMatchObject({ text: 'Hello' });
    }
  });
});

describe('damaged documents', () => {
  const refusalOf = (bytes: Uint8Array, name = 'a.docx') => expect(load(bytes, name)).rejects;

  it('are refused with advice', async () => {
    const failed = expect.objectContaining({
      code: 'parse_failed',
      message: expect.stringMatching(/"a\.docx".*save it/),
    });
    await refusalOf(docx('<w:p>')).toEqual(failed);
    await refusalOf(docx(`${'<w:sdt>'.repeat(300)}${'</w:sdt>'.repeat(300)}`)).toEqual(failed);
    await refusalOf(docx(paragraph('x')).subarray(0, 300)).toEqual(failed);
    await refusalOf(Buffer.from([1, 0, 2, 0])).toEqual(failed);
    await refusalOf(docx('')).toMatchObject({ code: 'empty_content' });
  });

  it('do not get their entities expanded', async () => {
    const laughs = '<!DOCTYPE w:document [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>';
    const parts = {
      'word/document.xml': `<?xml version="1.0"?>${laughs}<w:document ${NAMESPACES}><w:body>${paragraph('&b;')}</w:body></w:document>`,
    };
    const bytes = officePackage({ name: 'word/document.xml', type: 'wordprocessingml.document' }, parts);
    await refusalOf(bytes).toMatchObject({ code: 'parse_failed', message: expect.stringContaining('entities') });
  });

  it('that are bombs are stopped while they are unpacked', async () => {
    const bytes = docx(paragraph(' '.repeat(20_000_000)));
    await refusalOf(bytes).toMatchObject({ code: 'unpack_limit_exceeded' });
  });

  it('and those of other kinds are refused', async () => {
    const drawing = officePackage({ name: 'visio/document.xml', type: 'drawing' }, { 'visio/document.xml': '<a/>' });
    await refusalOf(drawing).toMatchObject({ code: 'unsupported_file_type' });
  });
});

interface Sheet {
  readonly name: string;
  readonly rows: string;
  readonly state?: string;
}

function xlsx(
  sheets: readonly Sheet[],
  parts: { readonly strings?: string; readonly styles?: string; readonly properties?: string } = {},
): Uint8Array {
  const main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"';
  const files = sheets.map(({ rows }, n) => [
    `xl/worksheets/sheet${n + 1}.xml`,
    `<worksheet ${main}>${rows}</worksheet>`,
  ]);
  const list = sheets.map(
    ({ name, state = 'visible' }, n) =>
      `<sheet name="${name}" sheetId="${n + 9}" state="${state}" r:id="rId${n + 1}"/>`,
  );
  const links = sheets.map((_, n) => `rId${n + 1} worksheet worksheets/sheet${n + 1}.xml`);
  return officePackage(
    { name: 'xl/workbook.xml', type: 'spreadsheetml.sheet' },
    {
      'xl/workbook.xml': `<workbook ${main} xmlns:r="${OFFICE}">${parts.properties ?? ''}<sheets>${list.join('')}</sheets></workbook>`,
      'xl/_rels/workbook.xml.rels': relationships([
        ...links,
        's sharedStrings sharedStrings.xml',
        'f styles /xl/styles.xml',
      ]),
      'xl/sharedStrings.xml': parts.strings === undefined ? undefined : `<sst ${main}>${parts.strings}</sst>`,
      'xl/styles.xml': parts.styles === undefined ? undefined : `<styleSheet ${main}>${parts.styles}</styleSheet>`,
      ...Object.fromEntries(files),
    },
  );
}

describe('Excel', () => {
  const textOf = async (...parts: Parameters<typeof xlsx>) => (await load(xlsx(...parts), 'a.xlsx')).text;
  const data = (...rows: readonly string[]): string =>
    `<sheetData>${rows.map((cells) => `<row>${cells}</row>`).join('')}</sheetData>`;
  const inline = (text: string): string => `<c t="inlineStr"><is><t>${text}</t></is></c>`;

  it('makes a section with a table of each visible sheet, in their order', async () => {
    const rows = (n: number) => data(inline('Name') + inline('Count'), `${inline(`item ${n}`)}<c><v>${n}</v></c>`);
    const sheets = [
      { name: 'Beta &amp; more', rows: rows(1) },
      { name: 'Secret', rows: rows(2), state: 'hidden' },
      { name: 'Alpha', rows: rows(3) },
      { name: 'Empty', rows: '<sheetData/>' },
    ];
    expect(await textOf(sheets)).toBe(
      '## Beta & more\n\n| Name | Count |\n| --- | --- |\n| item 1 | 1 |\n\n## Alpha\n\n| Name | Count |\n| --- | --- |\n| item 3 | 3 |',
    );
  });

  it('reads strings of every kind, values of formulas, booleans, errors and places', async () => {
    const strings = '<si><t>plain</t></si><si><r><t>rich </t></r><r><t>text</t></r><rPh><t>aid</t></rPh></si>';
    const rows = `<sheetData><row r="2"><c r="B2" t="s"><v>0</v></c><c r="D2" t="s"><v>1</v></c><c r="E2" t="str"><f>A1&amp;"x"</f><v>made</v></c></row>
      <row r="4"><c r="B4" t="b"><v>1</v></c><c r="D4" t="e"><v>#N/A</v></c><c r="E4"><f>1+2</f><v>0.30000000000000004</v></c></row></sheetData>`;
    expect(await textOf([{ name: 'S', rows }], { strings })).toBe(
      '## S\n\n| plain | rich text | made |\n| --- | --- | --- |\n| TRUE | #N/A | 0.3 |',
    );
  });

  it('shows dates, times and percents by their number formats, in both calendars', async () => {
    const formats = [0, 14, 20, 22, 9, 164, 165, 46];
    const styles = `<numFmts><numFmt numFmtId="164" formatCode="[$-409]d\\-mmm\\-yy;@"/><numFmt numFmtId="165" formatCode="0.0&quot; days&quot;"/></numFmts><cellXfs>${formats.map((id) => `<xf numFmtId="${id}"/>`).join('')}</cellXfs>`;
    const values = [45292, 45292, 0.5625, 45292.75, 0.125, 45292, 12.5, 1.5];
    const row = values.map((value, style) => `<c s="${style}"><v>${value}</v></c>`).join('');
    const sheets = [{ name: 'S', rows: data(row, row) }];
    const shown = '| 45292 | 2024-01-01 | 13:30 | 2024-01-01 18:00 | 12.5% | 2024-01-01 | 12.5 | 36:00:00 |';
    expect(await textOf(sheets, { styles })).toContain(shown);
    const old = await textOf(sheets, { styles, properties: '<workbookPr date1904="1"/>' });
    expect(old).toContain('| 45292 | 2028-01-02 |');
  });

  it('takes rows with one cell above a table for its captions, and repeats cells that are merged downwards', async () => {
    const rows = `${data(inline('Sales'), inline('Region') + inline('Shop'), inline('North') + inline('A'), `<c r="B4" t="inlineStr"><is><t>B</t></is></c>`)}<mergeCells><mergeCell ref="A3:A4"/><mergeCell ref="A1:B1"/></mergeCells>`;
    expect(await textOf([{ name: 'S', rows }])).toBe(
      '## S\n\nSales\n\n| Region | Shop |\n| --- | --- |\n| North | A |\n| North | B |',
    );
  });

  it('refuses workbooks with too much text', async () => {
    const rows = data(...Array.from({ length: 200 }, () => inline('x'.repeat(600))));
    await expect(load(xlsx([{ name: 'S', rows }]), 'a.xlsx')).rejects.toMatchObject({ code: 'content_too_large' });
  });

  it('begins the table of a huge sheet anew, with its header, so that documents can be cut there', async () => {
    const rows = data(
      inline('Name'),
      ...Array.from({ length: 900 }, (_, n) => inline(`${n}`) + inline('x'.repeat(600))),
    );
    const bytes = xlsx([{ name: 'S', rows: rows.replace('Name</t></is></c>', `Name</t></is></c>${inline('Text')}`) }]);
    const { text } = (await loadContent(
      bytes,
      { name: 'a.xlsx', mediaType: '' },
      { maxCharacters: 1e6 },
    )) as LoadedText;
    expect(text.match(/^## S\n\n\| Name \| Text \|\n\| --- \| --- \|\n/gm)).toHaveLength(2);
    expect([...text.matchAll(/^\| (\d+) \|/gm)].map((row) => Number(row[1]))).toEqual([...Array(900).keys()]);
  });
});
