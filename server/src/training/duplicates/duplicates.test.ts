import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSqlite } from '../../adapters/sqlite/index.ts';
import { silentLogger, systemClock } from '../../kernel/index.ts';
import type { Bot, Store } from '../../store/index.ts';
import { createSamples, createTenantWithBot } from '../../store/store-samples.contract.ts';
import { createDuplicateFinder } from './duplicate-finder.ts';
import { findDuplicateGroups } from './duplicate-groups.ts';
import { SIGNATURE_VALUES, signatureOf } from './text-signature.ts';

const words = (from: number, count: number): string =>
  Array.from({ length: count }, (_, number) => `word${from + number}`).join(' ');

function groupsOf(texts: readonly string[]) {
  const signatures = new Uint16Array(texts.flatMap((text) => [...new Uint16Array(signatureOf(text).buffer)]));
  return findDuplicateGroups({ contentHashes: texts, signatures, signed: new Uint8Array(texts.length).fill(1) });
}

function shingles(text: string): ReadonlySet<string> {
  const all = text.split(' ');
  return new Set(all.slice(4).map((_, start) => all.slice(start, start + 5).join(' ')));
}

function estimate(one: string, other: string): number {
  const [a, b] = [new Uint16Array(signatureOf(one).buffer), new Uint16Array(signatureOf(other).buffer)];
  return a.filter((value, position) => value === b[position]).length / SIGNATURE_VALUES;
}

describe('signatures', () => {
  it('estimate how many shingles two texts have in common', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 1e6 }), (shift, from) => {
        const [one, other] = [words(from, 300), words(from + shift, 300)];
        const [a, b] = [shingles(one), shingles(other)];
        const common = [...a].filter((shingle) => b.has(shingle)).length;
        const truth = common / (a.size + b.size - common);
        expect(Math.abs(estimate(one, other) - truth)).toBeLessThan(0.2);
      }),
      { numRuns: 60 },
    );
  });

  it('see neither case nor punctuation, and read scripts without spaces', () => {
    expect(signatureOf('One, two; THREE four. Five six!')).toEqual(signatureOf('one two three four five six'));
    const text = '東京は日本の首都であり、世界でも有数の大都市である。人口は千四百万人を超える。';
    expect(estimate(text, text.replace('超える', '越える'))).toBeGreaterThan(0.5);
    expect(estimate(text, '京都は古い都であり、多くの寺院と庭園がある。秋には紅葉が美しい。')).toBeLessThan(0.2);
    expect(signatureOf('short')).not.toEqual(signatureOf('other'));
  });
});

describe('duplicate groups', () => {
  it('hold equal and nearly equal texts, and no others', () => {
    const base = words(0, 400);
    const groups = groupsOf([base, words(5_000, 400), `${base} and a little more`, base, words(9_000, 400)]);
    expect(groups).toHaveLength(1);
    expect(groups[0]?.members).toEqual([0, 2, 3]);
    const [own, near, copy] = groups[0]?.similarities ?? [];
    expect([own, copy]).toEqual([1, 1]);
    expect(near).toBeGreaterThan(0.9);
    expect(near).toBeLessThan(1);
  });

  it('find every pair of texts that differ in a few words, also among thousands of the same kind', () => {
    const texts = Array.from({ length: 2_000 }, (_, number) =>
      number % 100 === 0 ? words(number * 1_000, 200) : `${words(0, 300)} page ${number}`,
    );
    const groups = groupsOf(texts);
    expect(groups).toHaveLength(1);
    expect(groups[0]?.members).toHaveLength(1_980);
  });

  it('put each text into one group, however they are mixed', () => {
    const text = fc.tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 4 }));
    fc.assert(
      fc.property(fc.array(text, { maxLength: 20 }), (kinds) => {
        const texts = kinds.map(([kind, variant]) => `${words(kind * 1_000, 200)} ${words(variant * 7_777, variant)}`);
        const members = groupsOf(texts).flatMap((group) => group.members);
        expect(new Set(members).size).toBe(members.length);
        for (const [place, content] of texts.entries()) {
          if (texts.indexOf(content) !== texts.lastIndexOf(content)) expect(members).toContain(place);
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe('the duplicates of a bot', () => {
  const samples = createSamples('dup');
  let store: Store;
  beforeAll(async () => {
    ({ store } = openSqlite({ file: ':memory:', clock: systemClock, logger: silentLogger }));
    await store.start();
  });
  afterAll(() => store.stop());

  it('are found among what is searchable, and end with what is deleted', async () => {
    const { tenant, tenantId, botId } = await createTenantWithBot(store, samples);
    const add = async (key: string, text: string, state: 'searchable' | 'building' = 'searchable') => {
      const source = samples.source(botId, { externalKey: key });
      await tenant.sources.create(source);
      const document = samples.document([text], { title: key, contentHash: text, state });
      await tenant.documents.add(botId, source.id, { ...document, signature: signatureOf(text) });
      return source.id;
    };
    await add('a', words(0, 300));
    const near = await add('b', `${words(0, 300)} changed`);
    await add('c', words(1_000, 300));
    await add('d', words(1_000, 300), 'building');
    const finder = createDuplicateFinder({ store });
    const bot = { id: botId, tenantId } as Bot;
    const [group, ...more] = await finder.find(bot);
    expect(more).toEqual([]);
    expect(group?.documents.map(({ externalKey, title }) => [externalKey, title])).toEqual([
      ['a', 'a'],
      ['b', 'b'],
    ]);
    expect(group).toMatchObject({ count: 2, id: group?.documents[0]?.id });
    await tenant.sources.delete(botId, near);
    expect(await finder.find(bot)).toEqual([]);
    await finder.stop();
  });
});
