import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../kernel/index.ts';
import { loadContent } from './content-loader.ts';
import { isMultiple, type LoadedText } from './loaded-text.ts';

async function load(content: string | Uint8Array, name: string): Promise<LoadedText> {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  const loaded = await loadContent(bytes, { name, mediaType: '' }, { maxCharacters: 1_000_000 });
  if (isMultiple(loaded)) throw new Error('one text was expected');
  return loaded;
}
const textOf = async (content: string | Uint8Array, name: string) => (await load(content, name)).text;

/** Shift-JIS for the few characters that the tests need. */
const JAPANESE_ROW = Buffer.from('96bc914f2c944e97ee0a8db293a191be98592c33300a', 'hex');

describe('delimited text', () => {
  it.each([
    [',', 'Team,City\nBlues,"St. Louis, MO"\n'],
    [';', 'Team;City\nBlues;St. Louis, MO\n'],
    ['tab', 'Team\tCity\nBlues\tSt. Louis, MO\n'],
    ['|', 'Team|City\nBlues|St. Louis, MO\n'],
  ])('finds the delimiter %s', async (_, content) => {
    expect(await textOf(content, 'teams.csv')).toBe('| Team | City |\n| --- | --- |\n| Blues | St. Louis, MO |');
  });

  it('keeps a caption above the table, drops empty rows and columns, fills up ragged rows', async () => {
    expect(await load('Cups won,,\n,,\nTeam,Cups,\nBlues,1\nFlyers\n', 'cups.csv')).toMatchObject({
      title: 'Cups won',
      text: 'Cups won\n\n| Team | Cups |\n| --- | --- |\n| Blues | 1 |\n| Flyers |  |',
    });
  });

  it('takes line breaks and pipes in quoted cells', async () => {
    expect(await textOf('a,b\n"one\ntwo","x|y"\n', 'x.csv')).toBe('| a | b |\n| --- | --- |\n| one two | x\\|y |');
  });

  it('reads Shift-JIS, Windows-1252 and UTF-16 with and without a mark', async () => {
    expect(await textOf(JAPANESE_ROW, 'x.csv')).toBe('| 名前 | 年齢 |\n| --- | --- |\n| 佐藤太郎 | 30 |');
    expect(await textOf(Buffer.from([...Buffer.from('Prix: 15 '), 0x80, ...Buffer.from(' caf'), 0xe9]), 'x.txt')).toBe(
      'Prix: 15 € café',
    );
    const wide = Buffer.from('Name,Age\nBlues,12\n', 'utf16le');
    const expected = '| Name | Age |\n| --- | --- |\n| Blues | 12 |';
    expect(await textOf(wide, 'x.csv')).toBe(expected);
    expect(await textOf(Buffer.concat([Buffer.from([0xff, 0xfe]), wide]), 'x.csv')).toBe(expected);
    expect(await textOf(Buffer.concat([Buffer.from([0xfe, 0xff]), Buffer.from(wide).swap16()]), 'x.csv')).toBe(
      expected,
    );
  });

  it('keeps every word of any table', async () => {
    const cell = fc.string({ unit: fc.constantFrom(...'ab1 ,;"\n|é語'), minLength: 0, maxLength: 12 });
    const table = fc.array(fc.array(cell, { minLength: 2, maxLength: 4 }), { minLength: 2, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(table, async (rows) => {
        const width = Math.max(...rows.map((row) => row.length));
        const full = rows.map((row) => [...row, ...Array.from({ length: width - row.length }, () => '')]);
        const csv = full.map((row) => row.map((value) => `"${value.replaceAll('"', '""')}"`).join(',')).join('\n');
        const words = full.flat().flatMap((value) => value.match(/[a-z\d語é]+/g) ?? []);
        fc.pre(words.length > 0);
        const found = (await textOf(csv, 'x.csv')).match(/[a-z\d語é]+/g) ?? [];
        expect(found).toEqual(words);
      }),
      { numRuns: 100 },
    );
  });
});

describe('JSON', () => {
  it('puts each record under its name', async () => {
    const plans = [
      { name: 'Pro', price: 30, limits: { seats: 5, regions: ['EU', 'US'] } },
      { name: 'Free', price: 0, note: null },
    ];
    const expected =
      '## Pro\n\n- name: Pro\n- price: 30\n- limits:\n  - seats: 5\n  - regions: EU, US\n\n## Free\n\n- name: Free\n- price: 0\n- note:';
    expect(await textOf(JSON.stringify(plans), 'plans.json')).toBe(expected);
    expect(await textOf(plans.map((plan) => JSON.stringify(plan)).join('\n'), 'plans.jsonl')).toBe(expected);
  });

  it('says where it breaks', async () => {
    await expect(load('{"a": 1,', 'x.json')).rejects.toMatchObject({ code: 'parse_failed' });
    await expect(load('{"a": 1}\n{"b": \n', 'x.jsonl')).rejects.toMatchObject({
      code: 'parse_failed',
      message: expect.stringContaining('Line 2'),
    });
    const deep = `${'['.repeat(5_000)}1${']'.repeat(5_000)}`;
    await expect(load(deep, 'x.json')).rejects.toMatchObject({ code: 'parse_failed' });
  });
});

describe('subtitles', () => {
  it('makes a transcript of SubRip', async () => {
    const source =
      '1\r\n00:00:01,000 --> 00:00:03,500\r\n<i>Welcome</i> to the course.\r\n\r\n2\r\n00:00:03,600 --> 00:00:06,000\r\nToday: refunds.\r\n\r\n3\r\n00:01:10,000 --> 00:01:12,000\r\nThe end.\r\n';
    expect(await textOf(source, 'talk.srt')).toBe(
      '[00:00:01] Welcome to the course. Today: refunds.\n\n[00:01:10] The end.',
    );
  });

  it('names who speaks in WebVTT, leaves notes out and keeps rolling lines once', async () => {
    const source =
      'WEBVTT\n\nNOTE internal\n\n00:01.000 --> 00:02.000\n<v Roger>Hello there\n\n00:02.000 --> 00:03.000 align:start\nRoger: Hello there\nhow are you\n';
    expect(await textOf(source, 'talk.vtt')).toBe('[00:00:01] Roger: Hello there how are you');
  });

  it('refuses what has no times', async () => {
    await expect(load('just words', 'x.srt')).rejects.toMatchObject({ code: 'parse_failed' });
  });
});

describe('Rich Text Format', () => {
  it('reads headings, tables, lists and characters of every notation', async () => {
    const source = String.raw`{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Times;}}{\info{\title No}}{\header Page 1}
{\pard\outlinelevel0\b Opening hours\par}{\pard Caf\'e9 \u8364? 5 \emdash daily\par}
{\pard{\pntext\'B7\tab}\ls1 Bring a card\par}{\trowd\cellx1\cellx2\pard\intbl Day\cell Hours\cell\row\pard\intbl Mon\cell 9\cell\row}
{\pard After{\*\footnote See below}{\pict 00ff00}\par}{\*\unknown hidden}}`;
    expect(await load(source, 'x.rtf')).toMatchObject({
      title: 'Opening hours',
      text: '# Opening hours\n\nCafé € 5 —daily\n\n- Bring a card\n\n| Day | Hours |\n| --- | --- |\n| Mon | 9 |\n\nAfter (Note: See below)',
    });
  });

  it('is told by its content, whatever its name', async () => {
    expect(await textOf(String.raw`{\rtf1 Some words\par}`, 'x.doc')).toBe('Some words');
  });

  it('takes anything without harm', async () => {
    const piece = fc.constantFrom(
      '{',
      '}',
      '\\',
      "\\'",
      '\\u',
      '\\bin9',
      '\\cell',
      '\\row',
      '\\par ',
      '\\*',
      'text',
      '\xE9',
      '\\intbl ',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 80 }), async (pieces) => {
        const bytes = Buffer.from(`{\\rtf1 ${pieces.join('')}`, 'latin1');
        await load(bytes, 'x.rtf').catch((error: unknown) => expect(error).toBeInstanceOf(AppError));
      }),
    );
    await expect(load(`{\\rtf1 ${'{'.repeat(5_000)}`, 'x.rtf')).rejects.toMatchObject({ code: 'parse_failed' });
  });
});

describe('mail', () => {
  const head =
    'From: Ann <ann@a.example>\r\nTo: Team: bob@b.example, Cy <cy@c.example>;\r\nDate: Tue, 01 Oct 2024 12:34:56 -0500\r\n';

  it('keeps the subject, the correspondents, the text and the names of attachments', async () => {
    const source = `${head}Subject: =?UTF-8?B?UmVmdW5kcyDimII=?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nCaf=E9 vouchers are refunded.\r\n--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename="terms.txt"\r\n\r\nx\r\n--b--\r\n`;
    const page = await load(source, 'x.eml');
    expect(page.title).toBe('Refunds ☂');
    expect(page.text).toBe(
      '# Refunds ☂\n\n**From:** Ann (ann@a.example)\n**To:** bob@b.example, Cy (cy@c.example)\n**Date:** 2024-10-01 17:34 UTC\n**Attachments:** terms.txt\n\nCafé vouchers are refunded.',
    );
  });

  it('makes text of HTML, and reads a message saved as UTF-16', async () => {
    const source = `${head}Subject: Hi\r\nContent-Type: text/html\r\n\r\n<p>See <b>this</b></p><table><tr><th>A</th></tr><tr><td>1</td></tr></table>`;
    const wide = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(source, 'utf16le')]);
    for (const bytes of [Buffer.from(source), wide]) {
      expect(await textOf(bytes, 'x.eml')).toContain('See **this**\n\n| A |\n| --- |\n| 1 |');
    }
  });
});
