import fc from 'fast-check';
import Database from 'libsql';
import { describe, expect, it } from 'vitest';
import { indexableText, queryTerms } from './index.ts';

describe('queryTerms', () => {
  it.each([
    ['How do I reset my Password?', ['reset', 'password']],
    ['error-code_42 in v1.2.3', ['error', 'code', '42', 'v1', '2', '3']],
    ['Café CAFÉ cafe\u0301 naïve', ['cafe', 'naive']],
    ["What's the customer's plan, don't you know?", ['customer', 'plan', 'know']],
    ['Größe Ελλάδα Ёлка', ['große', 'ελλάδα', 'ёлка']],
    ['C++ & e-mail: info@example.com', ['c', 'e', 'mail', 'info', 'example', 'com']],
    ['?! …', []],
    ['', []],
  ])('%s', (text, terms) => {
    expect(queryTerms(text)).toEqual(terms);
  });

  it('keeps stop words when there is nothing else', () => {
    expect(queryTerms('Who are you?')).toEqual(['who', 'are', 'you']);
  });

  it('gives neighbouring characters of scripts without spaces', () => {
    expect(queryTerms('如何重置 API 密码?')).toEqual(['api', '如 何', '何 重', '重 置', '密 码']);
    expect(queryTerms('パスワード')).toEqual(['パ ス', 'ス ワ', 'ワ ー', 'ー ド']);
    expect(queryTerms('水')).toEqual(['水']);
  });

  it('gives at most 64 terms', () => {
    expect(queryTerms(Array.from({ length: 200 }, (_, number) => `w${number}`).join(' '))).toHaveLength(64);
  });

  it('cuts and folds as the tokenizer of the embedded index does', () => {
    const tokenize = createTokenizer();
    const character = fc.constantFrom(..."aZéÉßøŁñ7²_-.'’@ \n\u0301\u0323ЙйёΩώ密码スー한\u200b\u00adⒶ😀");
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: character, maxLength: 30 }), fc.lorem()), (text) => {
        const tokens = new Set(tokenize(indexableText(text)));
        const terms = queryTerms(text);
        for (const term of terms) for (const part of term.split(' ')) expect(tokens).toContain(part);
        if (terms.length === 0) expect(tokens.size).toBe(0);
      }),
    );
  });

  it('lets a phrase of characters be found in the middle of a sentence', () => {
    const database = new Database(':memory:');
    database.exec(`CREATE VIRTUAL TABLE texts USING fts5(text, tokenize = 'porter unicode61 remove_diacritics 2')`);
    database.prepare('INSERT INTO texts VALUES (?)').run(indexableText('您可以随时重置密码。'));
    const match = queryTerms('重置密码')
      .map((term) => `"${term}"`)
      .join(' OR ');
    expect(database.prepare('SELECT count(*) AS found FROM texts WHERE texts MATCH ?').get(match)).toMatchObject({
      found: 1,
    });
  });
});

function createTokenizer(): (text: string) => string[] {
  const database = new Database(':memory:');
  database.exec(`
    CREATE VIRTUAL TABLE texts USING fts5(text, tokenize = 'unicode61 remove_diacritics 2');
    CREATE VIRTUAL TABLE tokens USING fts5vocab(texts, 'instance');
  `);
  return (text) => {
    database.exec('DELETE FROM texts');
    database.prepare('INSERT INTO texts VALUES (?)').run(text);
    const rows = database.prepare('SELECT term FROM tokens ORDER BY offset').all();
    return rows.map((row) => String((row as { term: unknown }).term));
  };
}
