import { describe, expect, it } from 'vitest';
import { pageOfAll } from './pages.ts';

const items = ['a', 'b', 'c', 'd', 'e'].map((id) => ({ id }));
const idsOf = (page: { readonly items: readonly { readonly id: string }[] }) =>
  page.items.map((item) => item.id).join('');

describe('a page of a small list', () => {
  it.each([
    [{ limit: 2, order: 'asc' as const }, 'ab', true],
    [{ limit: 2, order: 'desc' as const }, 'ed', true],
    [{ limit: 2, order: 'asc' as const, after: 'b' }, 'cd', true],
    [{ limit: 2, order: 'desc' as const, after: 'b' }, 'a', false],
    [{ limit: 2, order: 'asc' as const, before: 'd' }, 'bc', true],
    [{ limit: 9, order: 'desc' as const, before: 'c' }, 'ed', false],
  ])('%j', (page, ids, hasMore) => {
    const found = pageOfAll(items, page);
    expect([idsOf(found), found.hasMore]).toEqual([ids, hasMore]);
  });
});
