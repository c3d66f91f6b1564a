import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { AppError } from '../../kernel/index.ts';
import { loadContent } from './content-loader.ts';
import { createDocumentParser } from './document-parser.ts';
import { isMultiple, type LoadedText } from './loaded-text.ts';
import { loadPdf } from './pdf-loader.ts';

/** A text on a page: where its baseline begins (from the lower left corner), in points. */
interface Piece {
  readonly text: string;
  readonly x: number;
  readonly y: number;
  readonly size?: number;
  readonly bold?: boolean;
  /** Quarter turns counter-clockwise. */
  readonly turns?: number;
}

interface WrittenPage {
  readonly pieces: readonly Piece[];
  readonly rotate?: number;
  /** Content besides the pieces. */
  readonly drawing?: string;
}

interface WriteOptions {
  readonly title?: string;
  /** Further entries of the trailer. */
  readonly trailer?: string;
  /** A picture on each page. */
  readonly picture?: boolean;
}

const TURNS = ['1 0 0 1', '0 1 -1 0', '-1 0 0 -1', '0 -1 1 0'];

/** Writes a PDF of letter pages with a regular and a bold font of fixed width. */
function writePdf(pages: readonly WrittenPage[], { title, trailer = '', picture = false }: WriteOptions = {}): Buffer {
  const font = (name: string) =>
    `<< /Type /Font /Subtype /Type1 /BaseFont /${name} /Encoding /WinAnsiEncoding /FirstChar 32 /LastChar 255 /Widths [${'500 '.repeat(224)}] >>`;
  const objects = ['', '', font('Helvetica'), font('Helvetica-Bold'), `<< /Title (${title ?? ''}) >>`];
  objects.push(
    !picture
      ? 'null'
      : '<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 /Length 1 >>\nstream\n0\nendstream',
  );
  const kids = pages.map(({ pieces, rotate = 0, drawing = '' }) => {
    const texts = pieces.map(
      ({ text, x, y, size = 10, bold = false, turns = 0 }) =>
        `BT /F${bold ? 2 : 1} ${size} Tf ${TURNS[turns]} ${x} ${y} Tm (${text.replace(/[\\()]/g, '\\$&')}) Tj ET`,
    );
    const content = [...texts, drawing, picture ? 'q 612 0 0 792 0 0 cm /Im Do Q' : ''].join('\n');
    objects.push(`<< /Length ${content.length} >>\nstream\n${content}\nendstream`);
    objects.push(
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Rotate ${rotate} /Contents ${objects.length} 0 R /Resources << /Font << /F1 3 0 R /F2 4 0 R >>${picture ? ' /XObject << /Im 6 0 R >>' : ''} >> >>`,
    );
    return `${objects.length} 0 R`;
  });
  objects[0] = '<< /Type /Catalog /Pages 2 0 R >>';
  objects[1] = `<< /Type /Pages /Kids [${kids.join(' ')}] /Count ${kids.length} >>`;
  let file = '%PDF-1.4\n';
  const offsets = objects.map((object, index) => {
    const offset = file.length;
    file += `${index + 1} 0 obj\n${object}\nendobj\n`;
    return String(offset).padStart(10, '0');
  });
  const xref = file.length;
  file += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${offsets.map((offset) => `${offset} 00000 n \n`).join('')}`;
  file += `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R /Info 5 0 R ${trailer} >>\nstartxref\n${xref}\n%%EOF\n`;
  return Buffer.from(file, 'latin1');
}

const LIMITS = { maxCharacters: 1_000_000 };

async function load(pages: readonly WrittenPage[], options: WriteOptions = {}): Promise<LoadedText> {
  const loaded = await loadPdf(writePdf(pages, options), { name: 'x.pdf' }, LIMITS);
  if (isMultiple(loaded)) throw new Error('one text was expected');
  return loaded;
}
const textOf = async (...pages: readonly (readonly Piece[])[]) =>
  (await load(pages.map((pieces) => ({ pieces })))).text;

/** Lines of text from `y` downward. */
const lines = (
  texts: readonly string[],
  { x = 72, y = 700, pitch = 12, ...rest }: Partial<Piece> & { pitch?: number } = {},
) => texts.map((text, index): Piece => ({ text, x, y: y - index * pitch, ...rest }));

/** Cells from left to right at the given places, empty ones left out. */
const row = (y: number, cells: Readonly<Record<number, string>>): readonly Piece[] =>
  Object.entries(cells).map(([x, text]) => ({ text, x: Number(x), y }));

const LOREM = [
  'The warehouse keeps stock for forty days and ships',
  'every order within two working days after it came in,',
  'unless the order is large or the address is far away.',
  'Returned goods are looked at by hand before they are',
  'put back on the shelf or sent on to the outlet store.',
];

describe('text', () => {
  it('joins lines to paragraphs and tells them apart by the space between them', async () => {
    expect(await textOf([...lines(LOREM), ...lines(['A second paragraph stands below it.'], { y: 610 })])).toBe(
      `${LOREM.join(' ')}\n\nA second paragraph stands below it.`,
    );
  });

  it('keeps short lines as lines: an address is no running text', async () => {
    const address = ['Zava Repair', '12 Main Street', 'Springfield'];
    expect(await textOf([...lines(LOREM), ...lines(address, { y: 600 })])).toBe(
      `${LOREM.join(' ')}\n\n${address.join('\n')}`,
    );
  });

  it('joins words that were cut at the end of a line, but keeps the hyphens of compounds', async () => {
    const text = await textOf(
      lines([
        'A multi-agent system was shown at the yearly confer-',
        'ence on software, and it is said that another multi-',
        'agent system will follow next year at the same place',
      ]),
    );
    expect(text).toContain('yearly conference on software');
    expect(text).toContain('another multi-agent system');
  });

  it('makes headings of larger and of bold lines, levels by size', async () => {
    const text = await textOf([
      { text: 'Annual report', x: 72, y: 740, size: 20 },
      { text: 'Stock', x: 72, y: 715, size: 14 },
      ...lines(LOREM),
      { text: 'Returns', x: 72, y: 620, bold: true },
      ...lines(LOREM, { y: 606 }),
    ]);
    expect(text.split('\n\n').map((block) => block.slice(0, 16))).toEqual([
      '# Annual report',
      '## Stock',
      'The warehouse ke',
      '#### Returns',
      'The warehouse ke',
    ]);
  });

  it('keeps lists, with their wrapped lines', async () => {
    const bullet = '\x95';
    expect(
      await textOf([
        ...lines(LOREM),
        ...row(630, { 72: bullet, 84: 'the first item, which is so long that it goes on' }),
        ...row(618, { 84: 'in a second line' }),
        ...row(606, { 72: bullet, 84: 'the second item' }),
        ...row(590, { 72: '1.', 84: 'one' }),
        ...row(578, { 72: '2.', 84: 'two' }),
      ]),
    ).toContain(
      '- the first item, which is so long that it goes on in a second line\n- the second item\n1. one\n2. two',
    );
  });

  it('keeps the entries of a table of contents as lines, and raised notes within theirs', async () => {
    const text = await textOf([
      ...lines([`Stock ${'.'.repeat(40)} 12`, `Returns ${'.'.repeat(38)} 14`], { y: 740 }),
      ...lines(LOREM.slice(0, 2)),
      { text: '2', x: 330, y: 704, size: 6 },
    ]);
    expect(text).toBe(`Stock 12\nReturns 14\n\n${LOREM[0]} 2 ${LOREM[1]}`);
  });

  it('does not let text pass for structure', async () => {
    expect(await textOf([...lines(LOREM), ...lines(['# not a heading', '```', '=========', 'text'], { y: 600 })])).toBe(
      `${LOREM.join(' ')}\n\n\\# not a heading\n\\\`\`\`\n\ntext`,
    );
  });

  it('takes the title of the file, unless a program made it up, or the first large heading', async () => {
    const pieces = [{ text: 'The big heading', x: 72, y: 740, size: 20 }, ...lines(LOREM)];
    expect(await load([{ pieces }], { title: 'Stock and returns' })).toMatchObject({ title: 'Stock and returns' });
    expect(await load([{ pieces }], { title: 'Microsoft Word - a.docx' })).toMatchObject({ title: 'The big heading' });
    expect(await load([{ pieces: lines(LOREM) }], { title: 'untitled' })).toMatchObject({ title: null });
  });
});

describe('reading order', () => {
  const left = LOREM.map((text) => `L ${text.slice(0, 40)}`);
  const right = LOREM.map((text) => `R ${text.slice(0, 40)}`);

  it('reads columns one after the other, and what spans them in its place', async () => {
    const text = await textOf([
      { text: 'A title over both of the columns, which is quite long indeed, so that it spans', x: 72, y: 740 },
      ...lines(left, { x: 72 }),
      ...lines(right, { x: 320, y: 697 }),
      { text: 'A line below both of the columns, which is also rather long, so that it spans', x: 72, y: 600 },
    ]);
    const order = ['A title', ...left, ...right, 'A line below'].map((part) => text.indexOf(part.slice(0, 20)));
    expect(order).toEqual([...order].sort((one, other) => one - other));
    expect(Math.min(...order)).toBe(0);
  });

  it('reads columns of short lines, which stand at different heights', async () => {
    const [left, right] = ['L', 'R'].map((side) =>
      LOREM.flatMap((text, at) => [`${side}${at} ${text}`.slice(0, 40), `${side}${at} yes, that is so`]),
    );
    const text = await textOf([...lines(left ?? [], { x: 72 }), ...lines(right ?? [], { x: 360, y: 695, pitch: 13 })]);
    expect(text.match(/[LR]\d/g)).toEqual(
      [...'LR'].flatMap((side) => [0, 0, 1, 1, 2, 2, 3, 3, 4, 4].map((at) => side + at)),
    );
  });

  it('reads three columns', async () => {
    const columns = [72, 240, 410].map((x) =>
      lines(
        LOREM.map((text) => `${x} ${text.slice(0, 24)}`),
        { x },
      ),
    );
    const text = await textOf(columns.flat());
    expect(text.match(/72|240|410/g)?.join(' ')).toBe(
      `${'72 '.repeat(5)}${'240 '.repeat(5)}${'410 '.repeat(5)}`.trim(),
    );
  });

  it.each([0, 1, 2, 3])('reads text that is turned by %i quarters', async (turns) => {
    const pieces = LOREM.map((text, index): Piece => {
      const down = 300 + index * 14 * (turns < 2 ? 1 : -1);
      return turns % 2 === 0
        ? { text, x: turns === 0 ? 100 : 400, y: turns === 0 ? 700 - index * 14 : 100 + index * 14, turns }
        : { text, x: down, y: turns === 1 ? 100 : 700, turns };
    });
    for (const rotate of [0, 90]) expect((await load([{ pieces, rotate }])).text).toBe(LOREM.join(' '));
  });

  it('puts text in another direction behind the rest, and leaves out what lies outside the page', async () => {
    const text = await textOf([
      ...lines(LOREM),
      { text: 'stamp at the margin', x: 30, y: 200, turns: 1 },
      { text: 'nobody sees this', x: 900, y: 400 },
    ]);
    expect(text).toBe(`${LOREM.join(' ')}\n\nstamp at the margin`);
  });
});

describe('pages', () => {
  const page = (number: number, extra: readonly Piece[] = []): WrittenPage => ({
    pieces: [
      { text: 'Handbook of the company', x: 72, y: 760 },
      ...lines(LOREM.map((text) => `${number * 111} ${text}.`)),
      { text: `Page ${number} of 6`, x: 280, y: 30 },
      ...extra,
    ],
  });

  it('leaves out running headers but the first, and page numbers', async () => {
    const { text } = await load([1, 2, 3, 4, 5, 6].map((number) => page(number)));
    expect(text.match(/Handbook of the company/g)).toHaveLength(1);
    expect(text).not.toContain('of 6');
    for (const number of [1, 2, 3, 4, 5, 6]) expect(text.match(new RegExp(`\\b${number * 111} `, 'g'))).toHaveLength(5);
  });

  it('keeps numbers at the edges that do not count with the pages', async () => {
    const totals = [310, 42, 77, 950, 128, 64];
    const { text } = await load(totals.map((total, index) => page(index + 1, row(760, { 400: `Total ${total}` }))));
    for (const total of totals) expect(text).toContain(`Total ${total}`);
  });

  it('knows where each page begins, also empty ones', async () => {
    const { text, pageStarts = [] } = await load([
      { pieces: lines(['First page.']) },
      { pieces: [] },
      { pieces: lines(['Third page.']) },
    ]);
    expect(text).toBe('First page.\n\nThird page.');
    expect(pageStarts.map((start) => text.slice(start))).toEqual([text, 'Third page.', 'Third page.']);
  });

  it('goes on with a paragraph and with a table over the end of a page', async () => {
    const cells = (y: number, n: number) => row(y, { 72: `Item ${n}`, 200: `${n * 10}`, 300: `${n * 7}` });
    const header = (y: number) => row(y, { 72: 'Item', 200: 'Price', 300: 'Count' });
    const { text, pageStarts = [] } = await load([
      { pieces: [...lines([...LOREM.slice(0, 4), 'put back on the shelf or sent on to the outlet sto-'])] },
      { pieces: [...lines(['re of the company.']), ...header(600), ...cells(588, 1), ...cells(576, 2)] },
      { pieces: [...header(700), ...cells(688, 3), ...cells(676, 4)] },
    ]);
    expect(text).toContain('the outlet store of the company.\n\n| Item | Price | Count |');
    expect(text).toContain('| Item 2 | 20 | 14 |\n| Item 3 | 30 | 21 |');
    expect(text.slice(pageStarts[1])).toMatch(/^re of the company/);
    expect(text.slice(pageStarts[2])).toMatch(/^\| Item 3 /);
  });

  it('reads a long file in parts, each a document with its page numbers', async () => {
    const pages = [1, 2, 3, 4, 5].map((number) => ({ pieces: lines([`This is page ${number}.`]) }));
    const bytes = writePdf(pages, { title: 'The book' });
    const texts: string[] = [];
    const starts: (readonly number[] | undefined)[] = [];
    for (let from: string | null = null, parts = 0; parts < 9; parts += 1) {
      const loaded = await loadPdf(bytes, { name: 'book.pdf', path: 'book.pdf', from }, { ...LIMITS, pagesPerPart: 2 });
      if (!isMultiple(loaded)) throw new Error('parts were expected');
      texts.push(...loaded.texts.map(({ name, title, part, text }) => `${name} ${part} (${title}): ${text}`));
      starts.push(...loaded.texts.map(({ pageStarts }) => pageStarts));
      from = loaded.next;
      if (from === null) break;
    }
    expect(texts).toEqual([
      'book.pdf 1 (The book): This is page 1.\n\nThis is page 2.',
      'book.pdf 2 (The book): This is page 3.\n\nThis is page 4.',
      'book.pdf 3 (The book): This is page 5.',
    ]);
    expect(starts).toEqual([
      [0, 17],
      [0, 0, 0, 17],
      [0, 0, 0, 0, 0],
    ]);
  });
});

describe('tables', () => {
  const above = lines(LOREM);

  it('finds columns without lines, empty cells, right-aligned numbers and wrapped cells', async () => {
    const text = await textOf([
      ...above,
      ...row(600, { 72: 'Product', 200: 'Place', 300: 'Count' }),
      ...row(576, { 72: 'SKU-1', 200: 'A-12', 315: '45' }),
      ...row(552, { 200: 'B-07', 310: '289' }),
      ...row(528, { 72: 'SKU-2', 200: 'A place that', 320: '7' }),
      ...row(517, { 200: 'is far away' }),
      ...row(493, { 72: 'SKU-3', 305: '1,000' }),
      ...lines(LOREM, { y: 440 }),
    ]);
    expect(text).toBe(
      [
        LOREM.join(' '),
        '| Product | Place | Count |\n| --- | --- | --- |\n| SKU-1 | A-12 | 45 |\n|  | B-07 | 289 |\n| SKU-2 | A place that is far away | 7 |\n| SKU-3 |  | 1,000 |',
        LOREM.join(' '),
      ].join('\n\n'),
    );
  });

  it('keeps a table whole whose columns could be columns of text', async () => {
    const rows = LOREM.flatMap((text, index) =>
      row(600 - index * 24, { 72: text.slice(0, 40), 320: text.slice(5, 44) }),
    );
    const text = await textOf([...row(624, { 72: 'Question', 320: 'Answer' }), ...rows]);
    for (const line of LOREM) expect(text).toContain(`| ${line.slice(0, 40).trim()} | ${line.slice(5, 44).trim()} |`);
  });

  it('tells two tables with different columns apart, and escapes pipes', async () => {
    const text = await textOf([
      ...row(700, { 72: 'Month', 150: 'Sum' }),
      ...row(688, { 72: 'May', 150: 'a|b' }),
      ...row(676, { 72: 'June', 150: '20' }),
      { text: 'Places', x: 72, y: 650, size: 14 },
      ...row(630, { 72: 'Street and number', 250: 'Town', 400: 'Open' }),
      ...row(618, { 72: 'Main Street 12', 250: 'Salem', 400: 'yes' }),
    ]);
    expect(text).toBe(
      '| Month | Sum |\n| --- | --- |\n| May | a\\|b |\n| June | 20 |\n\n## Places\n\n| Street and number | Town | Open |\n| --- | --- | --- |\n| Main Street 12 | Salem | yes |',
    );
  });

  it('keeps a form whole though its sides have rows at different heights', async () => {
    const side = (name: string, { x, y, pitch }: { x: number; y: number; pitch: number }) =>
      Array.from({ length: 9 }, (_, at) =>
        row(y - at * pitch, { [x]: `${name} ${at}:`, [x + 80]: 'the value of it' }),
      ).flat();
    const text = await textOf([
      ...side('Left', { x: 72, y: 700, pitch: 12 }),
      ...side('Right', { x: 330, y: 694, pitch: 15 }),
    ]);
    expect(text.indexOf('Right 0:')).toBeLessThan(text.indexOf('Left 3:'));
    for (let at = 0; at < 9; at += 1) expect(text).toContain(`Right ${at}: the value of it`);
  });

  it('keeps the labels of a form with their values', async () => {
    const text = await textOf([
      ...row(700, { 72: 'Order:', 150: '2024-12', 300: 'Cinema:', 380: 'Downtown' }),
      ...row(688, { 72: 'Contact:', 150: 'Sarah', 300: 'Region:', 380: 'North' }),
      ...row(676, { 72: 'Dates:', 150: '12/20 - 12/31' }),
    ]);
    expect(text).toBe('- Order: 2024-12 · Cinema: Downtown\n- Contact: Sarah · Region: North\n- Dates: 12/20 - 12/31');
  });
});

describe('what cannot be read', () => {
  const one = [{ pieces: lines(LOREM) }];

  it.each([
    ['a scan', writePdf([{ pieces: [] }], { picture: true }), 'no_text_layer'],
    ['drawn letters', writePdf([{ pieces: [], drawing: '10 10 m 20 20 l 30 10 l S' }]), 'no_text_layer'],
    ['empty pages', writePdf([{ pieces: [] }, { pieces: [] }]), 'empty_content'],
    [
      'a password',
      writePdf(one, {
        trailer: `/Encrypt << /Filter /Standard /V 2 /R 3 /Length 128 /P -4 /O <${'ab'.repeat(32)}> /U <${'cd'.repeat(32)}> >> /ID [<${'01'.repeat(16)}> <${'01'.repeat(16)}>]`,
      }),
      'password_protected',
    ],
    ['half a file', writePdf(one).subarray(0, 900), 'parse_failed'],
    ['a mark and nothing else', Buffer.from('%PDF-1.7'), 'parse_failed'],
    ['noise', Buffer.from(`%PDF-1.7\n${'\x01\x02\x03 obj << '.repeat(500)}`), 'parse_failed'],
  ])('%s', async (_, bytes, code) => {
    const refusal = loadPdf(bytes, { name: 'x.pdf' }, LIMITS);
    await expect(refusal).rejects.toBeInstanceOf(AppError);
    await expect(refusal).rejects.toMatchObject({ code, message: expect.stringContaining('x.pdf') });
  });

  it('reads a file whose table of objects is broken or missing', async () => {
    const file = writePdf(one).toString('latin1');
    for (const broken of [
      file.replace(/startxref\n\d+/, 'startxref\n99'),
      file.replace(/xref\n0[\s\S]*(?=trailer)/, ''),
      file.replaceAll(' 00000 n', ' 00000 f'),
    ]) {
      const loaded = await loadPdf(Buffer.from(broken, 'latin1'), { name: 'x.pdf' }, LIMITS);
      expect(loaded).toMatchObject({ text: LOREM.join(' ') });
    }
  });

  it('reads lines of any length in linear time', { timeout: 10_000 }, async () => {
    const long = ['.', '-', 'a-', '. ', '_.'].map((piece, at) => ({
      text: `${piece.repeat(100_000)}x`,
      x: 10,
      y: 100 + 20 * at,
      size: 1,
    }));
    expect((await textOf([...lines(LOREM), ...long])).slice(0, 50)).toBe(LOREM[0]?.slice(0, 50));
  });

  it('has limits on pages and characters', async () => {
    const bytes = writePdf(Array.from({ length: 6 }, () => ({ pieces: lines(LOREM) })));
    await expect(loadPdf(bytes, { name: 'x.pdf' }, { ...LIMITS, maxPages: 5 })).rejects.toMatchObject({
      code: 'too_many_pages',
    });
    await expect(loadPdf(bytes, { name: 'x.pdf' }, { maxCharacters: 200 })).rejects.toMatchObject({
      code: 'content_too_large',
    });
  });

  it('ends damaged files as text or as a refusal, whatever the damage', { timeout: 120_000 }, async () => {
    const good = writePdf([
      { pieces: [...lines(LOREM), ...row(500, { 72: 'a', 200: 'b' }), ...row(488, { 72: 'c', 200: 'd' })] },
      ...one,
    ]);
    const damage = fc.array(
      fc.record({
        at: fc.nat(good.length - 1),
        cut: fc.nat(60),
        bytes: fc.oneof(
          fc.uint8Array({ maxLength: 8 }),
          fc
            .constantFrom('99999999', '-1', ' 0 R', '<<', '>>', 'endobj', '1e99', '[', '(')
            .map((text) => Buffer.from(text)),
        ),
      }),
      { minLength: 1, maxLength: 6 },
    );
    const folder = await mkdtemp(join(tmpdir(), 'pdf-'));
    const path = join(folder, 'x.pdf');
    const parser = createDocumentParser({ timeoutMs: 10_000 });
    onTestFinished(async () => {
      await parser.stop();
      await rm(folder, { recursive: true });
    });
    const codes = new Set<string>();
    await fc.assert(
      fc.asyncProperty(damage, async (wounds) => {
        let bytes: Buffer = good;
        for (const { at, cut, bytes: put } of wounds) {
          bytes = Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + cut)]);
        }
        await writeFile(path, bytes);
        const input = { path, name: 'x.pdf', mediaType: 'application/pdf', fallbackTitle: 'x', from: null };
        const code = await parser.parse(input).then(
          () => 'read',
          (error) => (error instanceof AppError ? error.code : 'crash'),
        );
        codes.add(code);
        expect(['crash', 'internal_error', 'parse_timeout', 'parse_out_of_memory']).not.toContain(code);
      }),
      { numRuns: 150 },
    );
    expect([...codes]).toEqual(expect.arrayContaining(['read', 'parse_failed']));
  });
});

describe('among other files', () => {
  const read = (content: Uint8Array, name: string) => loadContent(content, { name, mediaType: '' }, LIMITS);
  const pdf = writePdf([{ pieces: lines(LOREM) }]);

  it('is known by its mark whatever its name, also behind other bytes', async () => {
    for (const [bytes, name] of [
      [pdf, 'report'],
      [pdf, 'report.txt'],
      [Buffer.concat([Buffer.from('\r\n@PJL SET\r\n'), pdf]), 'printed.pdf'],
    ] as const) {
      expect(await read(bytes, name)).toMatchObject({ text: LOREM.join(' ') });
    }
  });

  it('is not taken for one where text tells of the mark, nor where a page was saved under its name', async () => {
    expect(await read(Buffer.from('A PDF begins with %PDF-1.7.'), 'formats.md')).toMatchObject({
      text: 'A PDF begins with %PDF-1.7.',
    });
    expect(await read(Buffer.from('<!doctype html><p>Not found</p>'), 'report.pdf')).toMatchObject({
      text: 'Not found',
    });
    await expect(read(Buffer.from([0, 1, 2, 3, 0, 9]), 'report.pdf')).rejects.toMatchObject({ code: 'parse_failed' });
    await expect(read(Buffer.alloc(0), 'report.pdf')).rejects.toMatchObject({ code: 'empty_content' });
  });
});
