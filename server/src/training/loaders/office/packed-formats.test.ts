import { strToU8, type Zippable, zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { loadContent } from '../content-loader.ts';
import { isMultiple, type LoadedContent, type LoadedText } from '../loaded-text.ts';

const OFFICE = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships';
const LIMITS = { maxCharacters: 10_000_000 };
type Parts = Readonly<Record<string, string>>;

function pack(parts: Parts): Uint8Array {
  return zipSync(Object.fromEntries(Object.entries(parts).map(([name, text]) => [name, strToU8(text)])));
}

async function load(bytes: Uint8Array, name: string): Promise<LoadedText> {
  const loaded = await loadContent(bytes, { name, mediaType: '' }, LIMITS);
  if (isMultiple(loaded)) throw new Error('Several texts');
  return loaded;
}

describe('PowerPoint', () => {
  const drawing = `xmlns:a="a" xmlns:p="p" xmlns:r="${OFFICE}"`;
  const links = (items: readonly string[]): string =>
    `<Relationships>${items
      .map((item) => item.split(' '))
      .map(([id, type, target]) => `<Relationship Id="${id}" Type="x/${type}" Target="${target}"/>`)
      .join('')}</Relationships>`;
  const line = (text: string, level = 0): string => `<a:p><a:pPr lvl="${level}"/><a:r><a:t>${text}</a:t></a:r></a:p>`;
  const shape = (placeholder: string, ...lines: readonly string[]): string =>
    `<p:sp><p:nvSpPr><p:nvPr>${placeholder === '' ? '' : `<p:ph type="${placeholder}"/>`}</p:nvPr></p:nvSpPr><p:txBody>${lines.join('')}</p:txBody></p:sp>`;
  const slide = (content: string, attributes = ''): string =>
    `<p:sld ${drawing} ${attributes}><p:cSld><p:spTree>${content}</p:spTree></p:cSld></p:sld>`;

  it('reads slides in their order, with bullets, tables, charts and notes; hidden ones keep their number', async () => {
    const cell = (text: string, merge = ''): string => `<a:tc ${merge}><a:txBody>${line(text)}</a:txBody></a:tc>`;
    const table = `<p:graphicFrame><a:graphic><a:tbl><a:tr>${cell('Plan')}${cell('Price')}</a:tr><a:tr>${cell('Pro', 'rowSpan="2"')}${cell('5')}</a:tr><a:tr>${cell('', 'vMerge="1"')}${cell('6')}</a:tr></a:tbl></a:graphic></p:graphicFrame>`;
    const chart = `<p:graphicFrame><c:chart xmlns:c="c" r:id="c1"/></p:graphicFrame>`;
    const points = (...values: readonly string[]): string =>
      `<c:strCache>${values.map((value, n) => `<c:pt idx="${n}"><c:v>${value}</c:v></c:pt>`).join('')}</c:strCache>`;
    const bytes = pack({
      '[Content_Types].xml':
        '<Types><Override PartName="/ppt/presentation.xml" ContentType="application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"/></Types>',
      '_rels/.rels': links(['r1 officeDocument ppt/presentation.xml']),
      'ppt/presentation.xml': `<p:presentation ${drawing}><p:sldIdLst><p:sldId id="1" r:id="b"/><p:sldId id="2" r:id="h"/><p:sldId id="3" r:id="a"/></p:sldIdLst></p:presentation>`,
      'ppt/_rels/presentation.xml.rels': links([
        'a slide slides/slide1.xml',
        'b slide slides/slide2.xml',
        'h slide slides/slide3.xml',
      ]),
      'ppt/slides/slide2.xml': slide(
        shape('sldNum', line('7')) +
          `<p:grpSp>${shape('body', line('One'), line('Deeper', 1), line('Two'))}</p:grpSp>` +
          shape('ctrTitle', line('The start')),
      ),
      'ppt/slides/slide1.xml': slide(shape('', line('Alone')) + table + chart),
      'ppt/slides/slide3.xml': slide(shape('title', line('Secret')), 'show="0"'),
      'ppt/slides/_rels/slide1.xml.rels': links(['c1 chart ../charts/chart1.xml']),
      'ppt/slides/_rels/slide2.xml.rels': links(['n notesSlide ../notesSlides/notes1.xml']),
      'ppt/notesSlides/notes1.xml': slide(shape('sldNum', line('1')) + shape('body', line('Say hello.'))),
      'ppt/charts/chart1.xml': `<c:chartSpace xmlns:c="c" xmlns:a="a"><c:chart><c:title><c:tx><a:t>Sales</a:t></c:tx></c:title><c:plotArea><c:ser><c:tx>${points('Shops')}</c:tx><c:cat>${points('Q1', 'Q2')}</c:cat><c:val>${points('3', '4')}</c:val></c:ser></c:plotArea></c:chart></c:chartSpace>`,
    });
    const { title, text, pageStarts } = await load(bytes, 'a.pptx');
    expect(title).toBe('The start');
    expect(text).toBe(
      [
        '## The start\n\n- One\n   - Deeper\n- Two\n\nNotes: Say hello.',
        '## Slide 3\n\nAlone\n\n| Plan | Price |\n| --- | --- |\n| Pro | 5 |\n| Pro | 6 |',
        'Sales\n\n|  | Shops |\n| --- | --- |\n| Q1 | 3 |\n| Q2 | 4 |',
      ].join('\n\n'),
    );
    expect(pageStarts?.map((start) => text.slice(start, start + 10))).toEqual([
      '## The sta',
      '## Slide 3',
      '## Slide 3',
    ]);
  });
});

describe('OpenDocument', () => {
  const document = (kind: string, body: string, parts: Parts & { readonly styles?: string } = {}): Uint8Array => {
    const { styles = '', ...more } = parts;
    return pack({
      mimetype: `application/vnd.oasis.opendocument.${kind}`,
      'content.xml': `<o:document xmlns:o="o" xmlns:t="t" xmlns:s="s" xmlns:d="d" xmlns:x="x"><o:automatic-styles>${styles}</o:automatic-styles><o:body>${body}</o:body></o:document>`,
      ...more,
    });
  };

  it('reads headings, lists, tables and notes of a text; comments, deletions and hidden text are left out', async () => {
    const styles = `<s:style s:name="P1" s:parent-style-name="Title"/><s:style s:name="H"><s:p t:display="none"/></s:style>
      <t:list-style s:name="L"><t:list-level-style-number t:level="1" s:num-format="1" s:num-suffix="."/><t:list-level-style-bullet t:level="2"/></t:list-style>`;
    const body = `<t:tracked-changes><t:p>gone</t:p></t:tracked-changes><t:p t:style-name="P1">The paper</t:p>
      <t:table-of-content><t:p>One 1</t:p></t:table-of-content>
      <t:section><t:h t:outline-level="1">One</t:h></t:section>
      <t:p>Some<t:s t:c="2"/>text<t:note><t:note-citation>1</t:note-citation><t:note-body><t:p>A note</t:p></t:note-body></t:note>
        <t:span t:style-name="H">hidden</t:span><o:annotation><t:p>comment</t:p></o:annotation> <t:a x:href="https://a.example">link</t:a></t:p>
      <t:list t:style-name="L"><t:list-item><t:p>first</t:p><t:list><t:list-item><t:p>in it</t:p></t:list-item></t:list></t:list-item><t:list-item><t:p>second</t:p></t:list-item></t:list>
      <t:table><t:table-header-rows><t:table-row><t:table-cell><t:p>A</t:p></t:table-cell><t:table-cell><t:p>B</t:p></t:table-cell></t:table-row></t:table-header-rows>
      <t:table-row><t:table-cell t:number-rows-spanned="2"><t:p>x</t:p></t:table-cell><t:table-cell t:number-columns-repeated="2"><t:p>y</t:p></t:table-cell></t:table-row>
      <t:table-row><t:covered-table-cell/><t:table-cell><t:p>z</t:p></t:table-cell></t:table-row></t:table>`;
    expect(await load(document('text', body, { styles }), 'a.odt')).toEqual({
      title: 'The paper',
      text: [
        '# The paper\n\n## One\n\nSome text[^1] [link](https://a.example)\n\n[^1]: A note',
        '1. first\n   - in it\n2. second',
        '| A | B |  |\n| --- | --- | --- |\n| x | y | y |\n| x | z |  |',
      ].join('\n\n'),
      layout: 'markdown',
    });
  });

  it('reads the visible sheets of a spreadsheet', async () => {
    const cell = (text: string, attributes = ''): string =>
      `<t:table-cell ${attributes}><t:p>${text}</t:p></t:table-cell>`;
    const sheet = (name: string, style: string): string =>
      `<t:table t:name="${name}" t:style-name="${style}"><t:table-row>${cell('Day')}${cell('Sum')}</t:table-row>
      <t:table-row>${cell('1.5.24', 'o:value-type="date" o:date-value="2024-05-01"')}${cell('1,5')}<t:table-cell t:number-columns-repeated="16000"/></t:table-row>
      <t:table-row t:number-rows-repeated="1048574"><t:table-cell t:number-columns-repeated="16384"/></t:table-row></t:table>`;
    const styles = '<s:style s:name="off"><s:table-properties t:display="false"/></s:style>';
    const { text } = await load(document('spreadsheet', sheet('May', 'on') + sheet('No', 'off'), { styles }), 'a.ods');
    expect(text).toBe('## May\n\n| Day | Sum |\n| --- | --- |\n| 2024-05-01 | 1,5 |');
  });

  it('reads the slides of a presentation', async () => {
    const frame = (kind: string, text: string): string =>
      `<d:frame d:class="${kind}"><d:text-box><t:p>${text}</t:p></d:text-box></d:frame>`;
    const body = `<d:page>${frame('outline', 'Text')}${frame('title', 'Hello')}<d:notes>${frame('notes', 'Say it')}</d:notes></d:page><d:page>${frame('', 'More')}</d:page>`;
    const { text, pageStarts } = await load(document('presentation', body), 'a.odp');
    expect(text).toBe('## Hello\n\nText\n\nNotes: Say it\n\n## Slide 2\n\nMore');
    expect(pageStarts).toEqual([0, text.indexOf('## Slide 2')]);
  });

  it('asks for a copy without a password', async () => {
    const manifest = '<m><file-entry><encryption-data/></file-entry></m>';
    await expect(load(document('text', '', { 'META-INF/manifest.xml': manifest }), 'a.odt')).rejects.toMatchObject({
      code: 'password_protected',
    });
  });
});

describe('books', () => {
  const book = (parts: Parts): Uint8Array =>
    pack({
      mimetype: 'application/epub+zip',
      'META-INF/container.xml': '<container><rootfiles><rootfile full-path="in/book.opf"/></rootfiles></container>',
      'in/book.opf': `<package><metadata><title>The book</title></metadata><manifest>
        <item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
        <item id="b" href="two%20b.xhtml" media-type="application/xhtml+xml"/><item id="a" href="../one.xhtml" media-type="application/xhtml+xml"/>
        <item id="i" href="cover.jpg" media-type="image/jpeg"/></manifest>
        <spine><itemref idref="n"/><itemref idref="a"/><itemref idref="i"/><itemref idref="b"/></spine></package>`,
      'in/nav.xhtml': '<html><body>Contents</body></html>',
      'in/two b.xhtml': '<html><body><h2>Two</h2><p>Second</p></body></html>',
      'one.xhtml':
        '<?xml version="1.0"?><html><head><title/></head><body><h1>One</h1><aside>A note</aside><script src="x"/><p>First</p></body></html>',
      ...parts,
    });

  it('are read chapter by chapter in their order', async () => {
    expect(await load(book({}), 'a.epub')).toEqual({
      title: 'The book',
      text: '# One\n\nA note\n\nFirst\n\n## Two\n\nSecond',
      layout: 'markdown',
    });
  });

  it('are refused when they are copy-protected, not when only their fonts are', async () => {
    const encrypted = (path: string): Parts => ({
      'META-INF/encryption.xml': `<encryption><EncryptedData><CipherReference URI="${path}"/></EncryptedData></encryption>`,
    });
    await expect(load(book(encrypted('one.xhtml')), 'a.epub')).rejects.toMatchObject({ code: 'password_protected' });
    await expect(load(book(encrypted('font.otf')), 'a.epub')).resolves.toBeDefined();
  });
});

describe('archives of files', () => {
  const part = async (bytes: Uint8Array, from: string | null): Promise<LoadedContent> => {
    const loaded = await loadContent(bytes, { name: 'all.zip', mediaType: '', from }, LIMITS);
    if (!isMultiple(loaded)) throw new Error('One text');
    return loaded;
  };
  /** All parts, each of them loaded twice to see that it is the same. */
  const partsOf = async (files: Zippable): Promise<readonly LoadedContent[]> => {
    const bytes = zipSync(files);
    const parts: LoadedContent[] = [];
    for (let from: string | null = null; ; ) {
      const loaded: LoadedContent = await part(bytes, from);
      expect(await part(bytes, from)).toEqual(loaded);
      parts.push(loaded);
      if (loaded.next === null) return parts;
      from = loaded.next;
    }
  };
  const namesOf = (parts: readonly LoadedContent[]): readonly string[] =>
    parts.flatMap(({ texts }) => texts.map(({ name }) => name));
  const text = (content: string) => strToU8(content);
  const odt = pack({ mimetype: 'application/vnd.oasis.opendocument.text', 'content.xml': '<d><p>Words</p></d>' });

  it('give a document for each file, and a refusal with its reason for each that cannot be used', async () => {
    const parts = await partsOf({
      'a/one.md': text('# One\n\nText'),
      'b.odt': odt,
      'photo.png': Buffer.from('\x89PNG\r\n', 'latin1'),
      'empty.txt': text(' '),
      'broken.docx': odt.subarray(0, 60),
      '__MACOSX/a/._one.md': text('junk'),
      '.DS_Store': text('junk'),
      'a/Thumbs.db': text('junk'),
      'inner.zip': zipSync({ 'two.txt': text('Two'), 'deep.zip': zipSync({ '../three.txt': text('Three') }) }),
    });
    expect(namesOf(parts)).toEqual([
      'all.zip/a/one.md',
      'all.zip/b.odt',
      'all.zip/inner.zip/two.txt',
      'all.zip/inner.zip/deep.zip/three.txt',
    ]);
    expect(parts[0]?.texts[1]).toMatchObject({ text: 'Words' });
    const refusals = parts.flatMap((one) =>
      one.refusals.map(({ name, code, message }) => {
        expect(message).toContain(name);
        return [name, code];
      }),
    );
    expect(refusals).toEqual([
      ['all.zip/photo.png', 'unsupported_file_type'],
      ['all.zip/empty.txt', 'empty_content'],
      ['all.zip/broken.docx', 'parse_failed'],
    ]);
  });

  it('are read in parts of bounded size, also within archives within', async () => {
    const many = Object.fromEntries(Array.from({ length: 150 }, (_, n) => [`${n}.txt`, text(`Text ${n}`)]));
    const parts = await partsOf({ ...many, 'inner.zip': zipSync(many), 'last.txt': text('Last') });
    expect(namesOf(parts)).toEqual([
      ...Object.keys(many).map((name) => `all.zip/${name}`),
      ...Object.keys(many).map((name) => `all.zip/inner.zip/${name}`),
      'all.zip/last.txt',
    ]);
    expect(Math.max(...parts.map(({ texts }) => texts.length))).toBeLessThanOrEqual(64);
    const large = Object.fromEntries(
      [1, 2, 3].map((n) => [`${n}.txt`, [text(`${n} `.repeat(1_500_000)), { level: 0 }]]),
    );
    expect((await partsOf(large as Zippable)).map(({ texts }) => texts.length)).toEqual([2, 1]);
  });

  it('lose only the bomb in them, and stop where all of it is too much', async () => {
    const bomb = zipSync({ 'zeros.txt': new Uint8Array(50_000_000) });
    const [one] = await partsOf({ 'bomb.zip': bomb, 'good.txt': text('Good') });
    expect(one?.texts.map(({ name }) => name)).toEqual(['all.zip/good.txt']);
    expect(one?.refusals).toMatchObject([{ name: 'all.zip/bomb.zip/zeros.txt', code: 'unpack_limit_exceeded' }]);
    let nested = zipSync({ 'a.txt': text('a') });
    for (let depth = 0; depth < 4; depth += 1) nested = zipSync({ 'a.zip': nested });
    expect((await partsOf({ 'a.zip': nested })).flatMap(({ refusals }) => refusals)).toMatchObject([
      { code: 'unpack_limit_exceeded', name: 'all.zip/a.zip/a.zip/a.zip' },
    ]);
    const crowd = zipSync(Object.fromEntries(Array.from({ length: 6_000 }, (_, n) => [`.${n}`, text('')])), {
      level: 0,
    });
    const crowds = await partsOf({ 'a.zip': crowd, 'b.zip': crowd, 'c.txt': text('c') });
    expect(crowds.flatMap(({ refusals }) => refusals)).toMatchObject([{ code: 'unpack_limit_exceeded' }]);
  });

  it('without any file are empty', async () => {
    await expect(partsOf({})).rejects.toMatchObject({ code: 'empty_content' });
    await expect(partsOf({ '.DS_Store': text('x') })).rejects.toMatchObject({ code: 'empty_content' });
  });
});
