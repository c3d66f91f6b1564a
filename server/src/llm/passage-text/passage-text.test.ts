import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contentTerms, plainText, questionTerms, splitStatements } from './index.ts';

const read = (text: string): string[] =>
  splitStatements(text).map(({ kind, start, end, marker }) => `${kind}${marker}|${text.slice(start, end)}`);

describe('statements', () => {
  it('are headings, sentences, list items, table rows and code', () => {
    const text = [
      '## Sick leave ##',
      'Use it when ill, e.g. with',
      'a cold. Dr. Who said so! "Really?" he asked.',
      '',
      '1. Open the U.S. form at example.org. Sign it.',
      '   - Use a pen',
      '2. Send it:',
      '',
      '   ```',
      '   send --now',
      '   ```',
      '3. Wait.',
      '',
      '| Date | Item |',
      '| --- | --- |',
      '| May 1 | Start |',
      '',
      '---',
      'The end',
    ].join('\n');
    expect(read(text)).toEqual([
      'heading|Sick leave',
      'sentence|Use it when ill, e.g. with\na cold.',
      'sentence|Dr. Who said so!',
      'sentence|"Really?" he asked.',
      'list-item1.|Open the U.S. form at example.org.',
      'list-item|Sign it.',
      'list-item-|Use a pen',
      'list-item2.|Send it:',
      'code|```\n   send --now\n   ```',
      'list-item3.|Wait.',
      'table-header|| Date | Item |',
      'table-row|| May 1 | Start |',
      'sentence|The end',
    ]);
  });

  it('know tables by the line under their header', () => {
    const kinds = (rule: string) => splitStatements(`| A | B |\n${rule}\n| 1 | 2 |`).map(({ kind }) => kind);
    for (const rule of ['|---|---|', '| :--- | :-: |', '--|--', '--- | ---:', '|--|--|  ']) {
      expect([rule, ...kinds(rule)]).toEqual([rule, 'table-header', 'table-row']);
    }
    expect(kinds('| -a- | -- |')).toEqual(['table-row', 'table-row', 'table-row']);
    expect(read('--|\na|b')).toEqual(['sentence|a|b']);
  });

  it('keep the items of one list and the sentences of one paragraph together', () => {
    const statements = splitStatements('One. Two.\n\n- a\n- b\n\nThree.');
    expect(statements.map(({ block }) => block)).toEqual([1, 1, 2, 2, 3]);
  });

  it('end at the marks of scripts without spaces', () => {
    expect(read('休暇は十日です。病気休暇もあります。')).toEqual([
      'sentence|休暇は十日です。',
      'sentence|病気休暇もあります。',
    ]);
  });

  it('cut text without end marks at 700 characters', () => {
    const text = 'word '.repeat(400);
    for (const { start, end } of splitStatements(text)) expect(end - start).toBeLessThanOrEqual(700);
  });

  it('never overlap, lie within the text and leave no white space around them, for any text', () => {
    const piece = fc.constantFrom(
      'word',
      'A.',
      'e.g.',
      '- ',
      '\n',
      '\n\n',
      '  ',
      '|',
      '| a |',
      '---',
      '```',
      '# ',
      '1. ',
      '> ',
      '。',
      '😀',
      '!',
      '{% x %}',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join('')),
        ),
        (text) => {
          let from = 0;
          for (const { start, end } of splitStatements(text)) {
            expect(start).toBeGreaterThanOrEqual(from);
            expect(end).toBeGreaterThan(start);
            expect(text.slice(start, end).trim()).toBe(text.slice(start, end));
            from = end;
          }
          expect(from).toBeLessThanOrEqual(text.length);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('plain text', () => {
  it.each([
    ['Go to [Concur](https://concur.example) **now**', 'Go to Concur now'],
    ['See [here](https://x.example/a)', 'See here (https://x.example/a)'],
    ['Ask [this](mailto:a@b.example)', 'Ask this (a@b.example)'],
    ['Ask {% slack_channel "people" "People Ops" %} today', 'Ask People Ops today'],
    ['{% image "a.png" "alt" %} Click', 'Click'],
    ['Known since 1999 [3].', 'Known since 1999.'],
    ['Known \\[3\\] since [[4]5] then', 'Known since then'],
    ['a&nbsp;b &lt;c&gt; \\# `x_y_z` snake_case_name', 'a b <c> # `x_y_z` snake_case_name'],
    ['> quoted\n> lines', 'quoted lines'],
    ['Fill [the form][form] in', 'Fill the form in'],
    ['<b>Bold</b> <https://a.example>', 'Bold https://a.example'],
    ['A <!-- not\nshown --> b {{ site.name }} c', 'A b c'],
    ['[Bees](https://a.example/Bee_(insect) "On (some) bees") buzz', 'Bees buzz'],
    ['![a (b)](c_(d).png) seen', 'seen'],
  ])('of %j is %j', (markdown, expected) => {
    expect(plainText(markdown)).toBe(expected);
  });

  it('keeps what looks like HTML in code', () => {
    expect(plainText('Run `train <path>... --bot B` <b>now</b>.')).toBe('Run `train <path>... --bot B` now.');
  });

  it('never holds what could pass for a citation marker', () => {
    const piece = fc.constantFrom(
      '[',
      ']',
      '1',
      '23',
      ',',
      ' ',
      '(',
      ')',
      'x',
      '*',
      '_',
      '\\',
      '^',
      '`',
      '[1]',
      '\\[1\\]',
      '[[1]',
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join('')),
        (text) => {
          expect(plainText(text)).not.toMatch(/\[\s*\d[\d,\s]*\]/u);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('terms', () => {
  it.each([
    ['reimbursed reimbursement reimburse', 1],
    ['policy policies', 1],
    ['approve approval approved approving approves', 1],
    ['leave leaves', 1],
    ['manager managers', 1],
    ['accrue accrued accrual', 1],
    ['travel leave', 2],
  ])('of %j are %i', (words, count) => {
    expect(new Set(contentTerms(words)).size).toBe(count);
  });

  it('leave stop words out, fold marks and keep numbers', () => {
    expect(contentTerms("What's the café's 401k?")).toEqual(['cafe', '401k'].map((word) => contentTerms(word)[0]));
  });

  it('of a question of stop words alone are those', () => {
    expect(questionTerms('who are you')).toEqual(['who', 'are', 'you']);
  });

  it('of text without spaces are pairs of characters', () => {
    expect(contentTerms('休暇は')).toEqual(['休暇', '暇は']);
  });
});
