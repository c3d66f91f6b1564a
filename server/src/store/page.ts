/** A page of a list in creation order. `after`/`before` are ids (exclusive); `before` wins the items nearest to it. */
export interface PageRequest {
  readonly limit: number;
  readonly order: 'asc' | 'desc';
  readonly after?: string;
  readonly before?: string;
}

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly hasMore: boolean;
}

const EVERY_ITEM_PAGE = 100;

/** Every item of a list, the oldest first, read a page at a time: memory holds one page. */
export async function* everyItem<Item extends { readonly id: string }>(
  list: (page: PageRequest) => Promise<Page<Item>>,
): AsyncGenerator<Item> {
  for await (const items of everyPage(list)) yield* items;
}

/** The same as pages, for those who ask for something about many items at once. */
export async function* everyPage<Item extends { readonly id: string }>(
  list: (page: PageRequest) => Promise<Page<Item>>,
): AsyncGenerator<readonly Item[]> {
  for (let after: string | undefined, more = true; more; ) {
    const page = await list({ limit: EVERY_ITEM_PAGE, order: 'asc', ...(after === undefined ? {} : { after }) });
    yield page.items;
    after = page.items.at(-1)?.id;
    more = page.hasMore && after !== undefined;
  }
}
