import { expect, it } from 'vitest';
import { createLexicalHitsCache } from './postgres-lexical-cache.ts';
import { unfoldedHits } from './postgres-lexical-hits.ts';

const bot = { tenantId: 'tnt_one', botId: 'bot_one' };
const hitsOf = (count: number) => {
  const postings = Array.from({ length: count }, (_, each) => ({ chunk: each + 1, length: 3, title: [], body: [0] }));
  return unfoldedHits(new Map([['word', postings]]), ['word'], 2);
};

it('gives hits of the version that they were kept for alone', () => {
  const cache = createLexicalHitsCache();
  expect(cache.lastVersion(bot)).toBe('');
  const hits = hitsOf(3);
  cache.keep(bot, '7.1', new Map([['word', hits]]));
  expect(cache.lastVersion(bot)).toBe('7.1');
  expect(cache.lastVersion({ ...bot, chunkSet: 'auto@1' })).toBe('');
  expect(cache.get('7.1', 'word')).toBe(hits);
  expect(cache.get('7.2', 'word')).toBeUndefined();
});

it('keeps the latest used of what has no room', () => {
  const cache = createLexicalHitsCache(10_000);
  cache.keep(bot, '7.1', new Map([['one', hitsOf(200)]]));
  cache.keep(bot, '7.1', new Map([['other', hitsOf(200)]]));
  expect(cache.get('7.1', 'one')?.chunks).toHaveLength(200);
  cache.keep(bot, '7.1', new Map([['third', hitsOf(200)]]));
  expect(cache.get('7.1', 'other')).toBeUndefined();
  expect(cache.get('7.1', 'one')?.chunks).toHaveLength(200);
  cache.keep(bot, '7.1', new Map([['huge', hitsOf(2_000)]]));
  expect(cache.get('7.1', 'huge')).toBeUndefined();
});
