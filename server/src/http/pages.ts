import type { Page, PageRequest } from '../store/index.ts';
import type { ListQuery } from './contract/index.ts';

/** The store's form of a list query. */
export function pageRequestOf({ limit, order, after, before }: ListQuery): PageRequest {
  return { limit, order, ...(after === undefined ? {} : { after }), ...(before === undefined ? {} : { before }) };
}

/** A page in OpenAI's list shape. */
export function toWirePage<Item, Wire extends { readonly id: string }>(page: Page<Item>, toWire: (item: Item) => Wire) {
  const data = page.items.map(toWire);
  return {
    object: 'list' as const,
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: page.hasMore,
  };
}

/** A page of a list that is small and whole in memory. */
export function pageOfAll<Item extends { readonly id: string }>(items: readonly Item[], page: PageRequest): Page<Item> {
  const ascending = [...items].sort((a, b) => (a.id < b.id ? -1 : 1));
  const ordered = page.order === 'asc' ? ascending : ascending.reverse();
  const isBefore = (item: Item, cursor: string): boolean =>
    page.order === 'asc' ? item.id < cursor : item.id > cursor;
  const { after, before } = page;
  const between = ordered.filter(
    (item) =>
      (after === undefined || (item.id !== after && !isBefore(item, after))) &&
      (before === undefined || isBefore(item, before)),
  );
  const kept = before === undefined ? between.slice(0, page.limit) : between.slice(-page.limit);
  return { items: kept, hasMore: between.length > kept.length };
}
