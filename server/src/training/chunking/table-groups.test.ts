import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTokenCounter } from '../../llm/index.ts';
import { createChunker } from './chunker.ts';
import { createStaticChunker } from './static-chunker.ts';
import { groupLongTables } from './table-groups.ts';

const tokens = createTokenCounter();
const group = (text: string) =>
  groupLongTables({ title: null, text, layout: 'markdown' }, { tokens, groupTokens: 400 }).text;
const chunkers = {
  auto: createChunker({ tokens, targetTokens: 400, maxTokens: 512 }),
  static: createStaticChunker({ tokens, maxTokens: 800, overlapTokens: 400 }),
};
const HEADER = '| Name | Number |\n| --- | --- |';
const rowsOf = (count: number): string =>
  Array.from({ length: count }, (_, n) => `| Person ${n} | +1 555 ${1000 + n} |`).join('\n');

describe('long tables', () => {
  it.each(['auto', 'static'] as const)('have their header in each chunk (%s)', (strategy) => {
    const text = group(
      `# Phones\n\nWhom to call.\n\n## Staff\n\nTable 3: Staff of the office\n\n${HEADER}\n${rowsOf(300)}\n\nThe end.`,
    );
    const chunks = chunkers[strategy]({ title: 'Phones', text, layout: 'markdown' });
    const ofTable = chunks.filter((chunk) => chunk.text.includes('| Person'));
    expect(ofTable.length).toBeGreaterThan(4);
    for (const chunk of ofTable) {
      expect(chunk.text).toBe(text.slice(chunk.start, chunk.end));
      const [firstRow] = /^\| Person/m.exec(chunk.text) ?? [];
      expect(chunk.text.indexOf(HEADER)).toBeLessThan(chunk.text.indexOf(firstRow ?? ''));
      expect(chunk.text.indexOf(HEADER)).toBeGreaterThanOrEqual(0);
      expect(chunk.text).toContain('Table 3: Staff of the office');
    }
    expect(ofTable.at(-1)?.headingPath).toEqual(['Staff']);
    const rows = text.match(/^\| Person.*$/gm) ?? [];
    expect(rows.join('\n')).toBe(rowsOf(300));
  });

  it('stay as they are when they fit, and so does everything else', () => {
    const text = `Before\n\n${HEADER}\n${rowsOf(10)}\n\nAfter | with a pipe\n\n\`\`\`\n${HEADER}\n${rowsOf(300)}\n\`\`\``;
    expect(group(text)).toBe(text);
    const plain = { title: null, text: `${HEADER}\n${rowsOf(300)}`, layout: 'plain' } as const;
    expect(groupLongTables(plain, { tokens, groupTokens: 400 })).toBe(plain);
  });

  it('are divided by columns when they are too wide, the first column kept', () => {
    const columns = Array.from({ length: 150 }, (_, n) => n);
    const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
    const rows = Array.from({ length: 4 }, (_, n) =>
      row(columns.map((column) => (column === 0 ? `Key ${n}` : `v${n}x${column}`))),
    );
    const text = group([row(columns.map((n) => `Column ${n}`)), row(columns.map(() => '---')), ...rows].join('\n'));
    const chunks = chunkers.auto({ title: 'Wide', text, layout: 'markdown' });
    expect(chunks.length).toBeGreaterThan(3);
    for (const chunk of chunks) {
      expect(chunk.text).toMatch(/^\| Column 0 \| Column \d+/);
      expect(chunk.text).toMatch(/^\| Key \d \|/m);
    }
    for (const column of columns.slice(1)) expect(text.match(new RegExp(`v3x${column} `, 'g'))).toHaveLength(1);
  });

  it('take their pages and sections with them', () => {
    const text = `${HEADER}\n${rowsOf(300)}\n\nThe second part.`;
    const row = text.indexOf('| Person 200 ');
    const end = text.indexOf('The second');
    const grouped = groupLongTables(
      {
        title: null,
        text,
        layout: 'markdown',
        pageStarts: [0, row, end],
        sections: [
          { start: 0, end: end - 2, headingPath: ['One'] },
          { start: end, end: text.length, headingPath: ['Two'] },
        ],
      },
      { tokens, groupTokens: 400 },
    );
    expect(grouped.text.slice(grouped.pageStarts?.[1]).startsWith('| Person 200 ')).toBe(true);
    expect(grouped.text.slice(grouped.pageStarts?.[2])).toBe('The second part.');
    expect(grouped.text.slice(grouped.sections?.[1]?.start, grouped.sections?.[1]?.end)).toBe('The second part.');
    expect(grouped.text.slice(0, grouped.sections?.[0]?.end).endsWith('| Person 299 | +1 555 1299 |')).toBe(true);
  });

  it('lose no cell, whatever is in them, in time that grows with their length', () => {
    const cell = fc.oneof(
      fc.lorem({ maxCount: 12 }),
      fc.string({ unit: 'grapheme', maxLength: 40 }),
      fc.constant('a \\| b'),
    );
    fc.assert(
      fc.property(
        fc.array(fc.array(cell, { minLength: 2, maxLength: 6 }), { minLength: 1, maxLength: 80 }),
        (cells) => {
          const rows = cells.map((row) => `| ${row.map((text) => text.replace(/[\n\r|\\]/g, ' ')).join(' | ')} |`);
          const text = group(`${HEADER}\n${rows.join('\n')}`);
          const kept = text.split('\n').filter((line) => line !== '' && !HEADER.split('\n').includes(line));
          expect(kept).toEqual(rows.filter((line) => !HEADER.split('\n').includes(line)));
        },
      ),
      { numRuns: 60 },
    );
    const started = performance.now();
    group(`${HEADER}\n| ${'x'.repeat(500_000)} | y |\n${rowsOf(20_000)}`);
    expect(performance.now() - started).toBeLessThan(20_000);
  }, 60_000);
});
