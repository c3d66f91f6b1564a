import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createChunkers } from '../chunking/strategies.ts';
import type { ParsedPart } from '../ports.ts';
import { createInputParser } from './parse-input.ts';
import { intoStretches } from './stretches.ts';

const words = { count: (text: string) => text.match(/\S+|\n+/g)?.length ?? 0 };
const prose = (from: number, sentences: number): string =>
  Array.from(
    { length: sentences },
    (_, n) => `Sentence ${from + n} says what the office does on day ${from + n}.`,
  ).join(' ');

describe('a huge text', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'large-text-'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  const createParser = () =>
    createInputParser({
      chunkerOf: createChunkers({ tokens: words, targetTokens: 2_000, maxTokens: 2_500 }),
      maxCharacters: 25_000_000,
    });

  async function parseAll(name: string, content: string | Buffer): Promise<readonly ParsedPart[]> {
    const path = join(folder, name);
    await writeFile(path, content);
    const parse = createParser();
    const parts: ParsedPart[] = [];
    for (let from: string | null = null; ; ) {
      const part: ParsedPart = await parse({ path, name, mediaType: '', fallbackTitle: 'Big', from });
      parts.push(part);
      if (part.next === null) return parts;
      from = part.next;
      expect(parts.length).toBeLessThan(100);
    }
  }
  const textsOf = (parts: readonly ParsedPart[]) => parts.flatMap(({ documents }) => documents.map(({ text }) => text));

  it('becomes several documents, cut between sections, whose parts can be read again', async () => {
    const section = (n: number): string => `## Day ${n}\n\n${prose(n * 1000, 300)}`;
    const text = Array.from({ length: 250 }, (_, n) => section(n)).join('\n\n');
    const parts = await parseAll('big.md', text);
    expect(parts.length).toBeGreaterThan(3);
    expect(textsOf(parts).join('\n\n')).toBe(text);
    for (const document of textsOf(parts)) expect(document).toMatch(/^## Day/);
    expect(parts.map(({ documents }) => documents[0]?.title).slice(0, 2)).toEqual(['Big', 'Big']);
    expect(parts[1]?.documents[0]?.name).toBe('big.md (part 2)');
    expect(parts.at(-1)?.share).toBe(1);
    const again = await createParser()({
      path: join(folder, 'big.md'),
      name: 'big.md',
      mediaType: '',
      fallbackTitle: 'Big',
      from: parts[1]?.next ?? null,
    });
    expect(again).toEqual(parts[2]);
  });

  it.each([
    ['UTF-8 without blanks', (text: string) => Buffer.from(text), '語りé👩‍🚀ö'],
    ['UTF-16 without blanks', (text: string) => Buffer.from(`\uFEFF${text}`, 'utf16le'), '語りé👩‍🚀ö'],
    ['UTF-16, big end first', (text: string) => Buffer.from(`\uFEFF${text}`, 'utf16le').swap16(), 'Ünter den Linden. '],
    ['Windows-1252', (text: string) => Buffer.from(text, 'latin1'), 'Größe über alles, daß es paßt. '],
    ['one line of words', (text: string) => Buffer.from(text), 'all in one line '],
  ])(
    'loses no character of %s',
    async (_, encode, unit) => {
      const count = Math.ceil(4_000_000 / encode(unit).length);
      const parts = await parseAll('line.txt', encode(unit.repeat(count)));
      expect(parts.length).toBeGreaterThan(2);
      expect(parts.flatMap(({ refusals }) => refusals)).toEqual([]);
      expect(textsOf(parts).join('').replace(/\s/g, '')).toBe(unit.repeat(count).replace(/\s/g, ''));
    },
    60_000,
  );

  it('repeats the header of a table and the opening of a code block that go on', async () => {
    const rows = Array.from({ length: 60_000 }, (_, n) => `| Person ${n} | +1 555 ${n} |`).join('\n');
    const parts = await parseAll('phones.md', `# Phones\n\n| Name | Number |\n| --- | --- |\n${rows}\n`);
    expect(parts.length).toBeGreaterThan(1);
    for (const text of textsOf(parts)) expect(text).toMatch(/^(# Phones\n\n)?\| Name \| Number \|\n\| --- \| --- \|\n/);
    const code = await parseAll('code.md', `\`\`\`sh\n${'echo "one more line of it"\n'.repeat(100_000)}\`\`\`\n`);
    for (const text of textsOf(code)) expect(text).toMatch(/^```sh\n/);
  }, 60_000);

  it('keeps records of delimited text whole, under their header', async () => {
    const records = Array.from({ length: 60_000 }, (_, n) => `${n},"Line one of ${n}\nline ""two"" of ${n}"`);
    const parts = await parseAll('big.csv', `number,note\n${records.join('\n')}\n`);
    const texts = textsOf(parts);
    expect(texts.length).toBeGreaterThan(1);
    for (const text of texts) expect(text).toContain('| number | note |');
    const rows = texts.join('\n').match(/^\| \d+ \|/gm) ?? [];
    expect(new Set(rows).size).toBe(60_000);
    expect(rows).toHaveLength(60_000);
  }, 60_000);

  it('refuses a stretch that is no text, alone', async () => {
    const text = Buffer.from(`${prose(0, 100)}\n`.repeat(900));
    text.fill(1, 2_500_000, 3_600_000);
    const parts = await parseAll('spoilt.txt', text);
    expect(parts.flatMap(({ refusals }) => refusals.map(({ code }) => code))).toEqual(
      expect.arrayContaining(['binary_content']),
    );
    expect(textsOf(parts).length).toBeGreaterThan(2);
  });

  it('is cut also when it was loaded whole, with its pages and sections', () => {
    const page = prose(0, 400);
    const text = Array.from({ length: 200 }, () => page).join('\n\n');
    const pageStarts = Array.from({ length: 200 }, (_, n) => n * (page.length + 2));
    const stretches = intoStretches({ title: null, text, layout: 'plain', pageStarts });
    expect(stretches.length).toBeGreaterThan(3);
    expect(stretches.map((stretch) => stretch.text).join('\n\n')).toBe(text);
    const third = stretches[2];
    const before = stretches.slice(0, 2).reduce((sum, stretch) => sum + stretch.text.length + 2, 0);
    expect(third?.pageStarts?.filter((start) => start === 0).length).toBe(before / (page.length + 2) + 1);
    const sections = pageStarts.map((start, n) => ({ start, end: start + page.length, headingPath: [`${n}`] }));
    const bySection = intoStretches({ title: null, text, layout: 'markdown', sections });
    expect(bySection.flatMap((stretch) => (stretch.sections ?? []).map(({ headingPath }) => headingPath[0]))).toEqual(
      sections.map((_, n) => `${n}`),
    );
    for (const stretch of bySection) {
      expect(stretch.sections?.every(({ start, end }) => stretch.text.slice(start, end) === page)).toBe(true);
    }
  });
});
