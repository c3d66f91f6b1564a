import type { PineconeRecord } from '@pinecone-database/pinecone';
import { abortable } from '../../resilience/index.ts';
import type { VectorQuery } from '../../vector-store/index.ts';
import { hasStatus } from './failures.ts';
import type { IndexTarget } from './indexes.ts';
import { BACKGROUND, type DataAnswer, type Patience, type PineconeClient, QUESTION } from './pinecone-client.ts';
import { chunkIdOf } from './record-ids.ts';
import { createSlots } from './slots.ts';
import type { SparseValues } from './sparse-values.ts';
import { MOST_RECORDS, numbersOf, type RecordMetadata, upsertBatches } from './upsert-batches.ts';

/** Requests to Pinecone at once that nobody waits for. */
const AT_ONCE = 4;
const MOST_LISTED = 100;
const MOST_FILTER_VALUES = 10_000;

/** One namespace of one index. */
export interface Place extends IndexTarget {
  readonly namespace: string;
}

export interface QueryAnswer {
  /** Chunks with a hit, best first. */
  readonly chunkIds: readonly string[];
  /** True when Pinecone gave as many hits as it was asked for. */
  readonly hasMore: boolean;
  readonly lsn: number | null;
}

/** What is done with the records of a namespace. */
export interface NamespaceRecords {
  /** Returns the highest log sequence number of the requests it took; null: not told. */
  upsert(
    place: Place,
    records: readonly PineconeRecord<RecordMetadata>[],
    signal?: AbortSignal,
  ): Promise<number | null>;
  /** Returns the highest log sequence number. */
  remove(place: Place, ids: readonly string[], signal?: AbortSignal): Promise<number | null>;
  removeAll(place: Place, signal?: AbortSignal): Promise<void>;
  query(
    place: Place,
    query: Pick<VectorQuery, 'vector' | 'filter'> & { readonly topK: number; readonly sparse: SparseValues | null },
    signal?: AbortSignal,
  ): Promise<QueryAnswer>;
  /** All ids that begin so, page by page. */
  list(place: Place, prefix: string | null, signal?: AbortSignal): AsyncIterable<readonly string[]>;
  /** How many records the namespace shows. */
  count(place: Place, signal?: AbortSignal): Promise<number>;
}

export function createNamespaceRecords(client: PineconeClient): NamespaceRecords {
  const slots = createSlots(AT_ONCE);

  function ask<Result>(
    place: Place,
    how: { readonly patience: Patience; readonly signal: AbortSignal | undefined },
    call: Parameters<typeof client.data<Result>>[1],
  ): Promise<DataAnswer<Result>> {
    return client.data({ ...place, ...how }, call);
  }

  /** All requests run, so that what fails leaves as little undone as can be. */
  async function inSlots(
    works: readonly (() => Promise<DataAnswer<unknown>>)[],
    signal: AbortSignal | undefined,
  ): Promise<number | null> {
    const results = await abortable(Promise.allSettled(works.map((work) => slots.run(work))), signal);
    const lsns = results.map((result) => {
      if (result.status === 'rejected') throw result.reason;
      return result.value.lsn;
    });
    return lsns.reduce((one, other) => (one === null || other === null ? null : Math.max(one, other)), lsns[0] ?? null);
  }

  return {
    upsert: (place, records, signal) =>
      inSlots(
        upsertBatches(records).map(
          (batch) => () => ask(place, { patience: BACKGROUND, signal }, (index) => index.upsert([...batch])),
        ),
        signal,
      ),
    remove: (place, ids, signal) =>
      inSlots(
        sliced(ids, MOST_RECORDS).map(
          (part) => () => ask(place, { patience: BACKGROUND, signal }, (index) => index.deleteMany([...part])),
        ),
        signal,
      ),
    async removeAll(place, signal) {
      try {
        await ask(place, { patience: BACKGROUND, signal }, (index) => index.deleteAll());
      } catch (error) {
        // A namespace that nothing was written to does not exist.
        if (!hasStatus(error, 404)) throw error;
      }
    },
    async query(place, { vector, filter, topK, sparse }, signal) {
      const sourceLists = filter?.sourceIds === undefined ? [null] : sliced(filter.sourceIds, MOST_FILTER_VALUES);
      const answers = await Promise.all(
        sourceLists.map((sourceIds) =>
          ask(place, { patience: QUESTION, signal }, (index) =>
            index.query({
              ...{ vector: numbersOf(vector), topK, includeValues: false, includeMetadata: false },
              ...(sourceIds === null ? {} : { filter: { source_id: { $in: [...sourceIds] } } }),
              ...(sparse === null ? {} : { sparseVector: sparse }),
            }),
          ),
        ),
      );
      const lsns = answers.map(({ lsn }) => lsn);
      const matches = answers.flatMap(({ value }) => value.matches);
      const ids = matches.map(({ id }) => chunkIdOf(id)).filter((id) => id !== null);
      return {
        chunkIds: [...new Set(ids)],
        hasMore: answers.some(({ value }) => value.matches.length >= topK),
        lsn: lsns.includes(null) ? null : Math.min(...lsns.map(Number)),
      };
    },
    async *list(place, prefix, signal) {
      for (let token: string | undefined, first = true; first || token !== undefined; first = false) {
        const paginationToken = token;
        const { value } = await slots.run(() =>
          ask(place, { patience: BACKGROUND, signal }, (index) =>
            index.listPaginated({
              limit: MOST_LISTED,
              ...(prefix === null ? {} : { prefix }),
              ...(paginationToken === undefined ? {} : { paginationToken }),
            }),
          ),
        );
        yield (value.vectors ?? []).flatMap(({ id }) => (id === undefined ? [] : [id]));
        token = value.pagination?.next;
      }
    },
    async count(place, signal) {
      const { value } = await ask(place, { patience: BACKGROUND, signal }, (index) => index.describeIndexStats());
      return value.namespaces?.[place.namespace]?.recordCount ?? 0;
    },
  };
}

function sliced<Item>(items: readonly Item[], size: number): readonly (readonly Item[])[] {
  const parts = Array.from({ length: Math.ceil(items.length / size) }, (_, part) =>
    items.slice(part * size, (part + 1) * size),
  );
  return parts;
}
