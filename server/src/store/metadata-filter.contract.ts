import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../kernel/index.ts';
import type { MetadataFilter, Store, TenantStore } from './ports.ts';
import { createSamples, createTenantWithBot } from './store-samples.contract.ts';

const samples = createSamples('flt');

/** Filters over the metadata of sources, in OpenAI's shape. */
export function describeMetadataFilters(name: string, open: () => Promise<Store>): void {
  describe(`metadata filters: ${name}`, () => {
    let tenant: TenantStore;
    let botId: string;
    beforeAll(async () => {
      ({ tenant, botId } = await createTenantWithBot(await open(), samples));
      const add = (title: string, metadata: JsonObject, url: string | null = null) =>
        tenant.sources.create(samples.source(botId, { title, metadata, url, externalKey: `key of ${title}` }));
      await add('nine', { size: 9, team: 'a', open: true });
      await add('ten', { size: 10, team: 'b', open: false }, 'https://example.com/');
      await add('half', { size: 9.5, team: 'B', 'a.b': 'dotted', 'say "hi"': 'quoted' });
      await add('text', { size: '9', team: ['a'], title: 'hidden', flag: 1 });
      await add('odd', JSON.parse('{"__proto__": "own", "constructor": 1, "": "empty", "size": null}'));
    });

    const titles = async (filter: MetadataFilter): Promise<string[]> => {
      const found: string[] = [];
      const { items } = await tenant.sources.list(botId, { limit: 100, order: 'asc' });
      const ids = new Set(await tenant.sources.findIds(botId, filter));
      for (const { id, title } of items) if (ids.has(id)) found.push(title);
      return found;
    };

    const cases: readonly [MetadataFilter, readonly string[]][] = [
      [{ type: 'eq', key: 'size', value: 9 }, ['nine']],
      [{ type: 'eq', key: 'size', value: '9' }, ['text']],
      [{ type: 'gt', key: 'size', value: 9 }, ['ten', 'half']],
      [{ type: 'gte', key: 'size', value: 9.5 }, ['ten', 'half']],
      [{ type: 'lt', key: 'size', value: 10 }, ['nine', 'half']],
      [{ type: 'lte', key: 'size', value: 9 }, ['nine']],
      [{ type: 'gt', key: 'team', value: 'a' }, ['ten']],
      [{ type: 'ne', key: 'size', value: 9 }, ['ten', 'half', 'text', 'odd']],
      [{ type: 'eq', key: 'open', value: true }, ['nine']],
      [{ type: 'ne', key: 'open', value: true }, ['ten', 'half', 'text', 'odd']],
      [{ type: 'eq', key: 'flag', value: true }, []],
      [{ type: 'eq', key: 'open', value: 1 }, []],
      [{ type: 'in', key: 'team', value: ['a', 'B', 3] }, ['nine', 'half']],
      [{ type: 'nin', key: 'team', value: ['a', 'B'] }, ['ten', 'text', 'odd']],
      [{ type: 'in', key: 'size', value: [10, '9'] }, ['ten', 'text']],
      [{ type: 'in', key: 'size', value: [] }, []],
      [{ type: 'nin', key: 'size', value: [] }, ['nine', 'ten', 'half', 'text', 'odd']],
      [{ type: 'eq', key: 'a.b', value: 'dotted' }, ['half']],
      [{ type: 'eq', key: 'say "hi"', value: 'quoted' }, ['half']],
      [{ type: 'eq', key: '__proto__', value: 'own' }, ['odd']],
      [{ type: 'eq', key: 'constructor', value: 1 }, ['odd']],
      [{ type: 'eq', key: '', value: 'empty' }, ['odd']],
      [{ type: 'eq', key: "' or 1=1 --", value: 'x' }, []],
      [{ type: 'eq', key: 'title', value: 'text' }, ['text']],
      [{ type: 'eq', key: 'title', value: 'hidden' }, []],
      [{ type: 'ne', key: 'title', value: 'text' }, ['nine', 'ten', 'half', 'odd']],
      [{ type: 'eq', key: 'type', value: 'text' }, ['nine', 'ten', 'half', 'text', 'odd']],
      [{ type: 'eq', key: 'url', value: 'https://example.com/' }, ['ten']],
      [{ type: 'ne', key: 'url', value: 'https://example.com/' }, ['nine', 'half', 'text', 'odd']],
      [{ type: 'nin', key: 'url', value: ['https://example.com/'] }, ['nine', 'half', 'text', 'odd']],
      [{ type: 'in', key: 'external_key', value: ['key of ten', 5] }, ['ten']],
      [{ type: 'eq', key: 'title', value: 1 }, []],
      [{ type: 'ne', key: 'title', value: 1 }, ['nine', 'ten', 'half', 'text', 'odd']],
      [{ type: 'and', filters: [] }, ['nine', 'ten', 'half', 'text', 'odd']],
      [{ type: 'or', filters: [] }, []],
      [
        {
          type: 'and',
          filters: [
            { type: 'gte', key: 'size', value: 9 },
            {
              type: 'or',
              filters: [
                { type: 'eq', key: 'team', value: 'b' },
                { type: 'eq', key: 'open', value: true },
              ],
            },
          ],
        },
        ['nine', 'ten'],
      ],
    ];
    it.each(cases)('%o', async (filter, expected) => {
      expect(await titles(filter)).toEqual(expected);
    });

    it('holds for any key and value: a source matches what it was stored with', async () => {
      const value = fc.oneof(
        fc.string(),
        fc.integer(),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.boolean(),
      );
      // A NUL cannot be stored in text by every engine, and text that is no valid Unicode not at all.
      const key = fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0'));
      const storable = value.filter((each) => typeof each !== 'string' || !each.includes('\0'));
      const builtIn = ['type', 'title', 'url', 'external_key'];
      await fc.assert(
        fc.asyncProperty(key, storable, async (name, stored) => {
          fc.pre(!builtIn.includes(name));
          const source = samples.source(botId, { metadata: Object.fromEntries([[name, stored]]) });
          await tenant.sources.create(source);
          expect(await tenant.sources.findIds(botId, { type: 'eq', key: name, value: stored })).toContain(source.id);
          expect(await tenant.sources.findIds(botId, { type: 'ne', key: name, value: stored })).not.toContain(
            source.id,
          );
          await tenant.sources.delete(botId, source.id);
        }),
        // The last has more digits than a float keeps.
        {
          numRuns: 60,
          examples: [
            ['n', 1.5],
            ['n', 22769357478598470],
          ],
        },
      );
    });

    it('refuses filters that are too deep or too many', async () => {
      let deep: MetadataFilter = { type: 'eq', key: 'a', value: 1 };
      for (let level = 0; level < 1_000; level += 1) deep = { type: 'and', filters: [deep] };
      const wide: MetadataFilter = {
        type: 'or',
        filters: Array.from({ length: 300 }, (_, value) => ({ type: 'eq', key: 'a', value }) as const),
      };
      for (const filter of [deep, wide]) {
        await expect(tenant.sources.findIds(botId, filter)).rejects.toMatchObject({
          code: 'invalid_request',
          param: 'filters',
        });
      }
    });
  });
}
