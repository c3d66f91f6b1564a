import { setMaxListeners } from 'node:events';
import type { PineconeRecord } from '@pinecone-database/pinecone';
import { AppError, type Clock, createDeadline, type Logger, toAppError } from '../../kernel/index.ts';
import { abortable } from '../../resilience/index.ts';
import {
  type Namespace,
  type ScoredChunk,
  textTerms,
  type VectorQuery,
  type VectorRecord,
  type VectorStore,
} from '../../vector-store/index.ts';
import { byScore, exactScores, isUsable, widthMismatch } from './exact-scores.ts';
import { createPineconeIndexes, type IndexTarget } from './indexes.ts';
import { createLaterWork } from './later-work.ts';
import { createNamespaceRecords, type Place } from './namespace-records.ts';
import { createPineconeClient } from './pinecone-client.ts';
import { documentPrefix, namespaceName, recordId } from './record-ids.ts';
import { createRepair, type VectorTruth } from './repair.ts';
import { createSearchCircuit } from './search-circuit.ts';
import type { PineconeSettings } from './settings.ts';
import { sparseOfQuestion, sparseOfText } from './sparse-values.ts';
import { createUnconfirmedWrites } from './unconfirmed-writes.ts';
import { numbersOf, type RecordMetadata } from './upsert-batches.ts';

export interface PineconeVectorStoreOptions {
  readonly settings: PineconeSettings;
  /** Width of the configured embedder. */
  readonly dimensions: number;
  /** Width of the vectors of a generation, as its name says it; null: it does not. */
  readonly dimensionsOf: (generation: string) => number | null;
  readonly truth: VectorTruth;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly fetch?: typeof fetch;
  /** Most memory of vectors that Pinecone may not show yet. */
  readonly unconfirmedBytes?: number;
  /** How long a start waits for Pinecone, in milliseconds. */
  readonly startWithinMs?: number;
}

const UNCONFIRMED_BYTES = 64 * 1024 ** 2;
/** An index that is made is ready within seconds. */
const START_WITHIN_MS = 30_000;
const LEAST_HITS = 50;
const MOST_HITS = 10_000;
/** Deletions go on behind the answer after this: what is deleted from the truth is found no more as it is. */
const DELETION_WAIT_MS = 3000;
/** Longer than it takes until changes show. */
const CHECKED_AFTER_MS = 30_000;
const CHECKED_AGAIN_MS = 3_600_000;
const MOST_CHECKED = 50_000;
const SHOWN_WITHIN_MS = 60_000;
const ASKED_EVERY_MS = 250;
/** Of what makes a candidate, with sparse values: the order is made by exact scores of both sides afterwards. */
const DENSE_SHARE = 0.5;

/**
 * Pinecone behind the port of the house. **Write to the truth first, then here**: Pinecone only finds candidates, which are looked
 * up in the truth and scored there by their exact cosine, so what was deleted is not found from that moment on. What was
 * written and may not show yet is searched in memory until Pinecone's log sequence number says that it does. Changes that
 * fail are made good in the background.
 */
export function createPineconeVectorStore(options: PineconeVectorStoreOptions): VectorStore {
  const { settings, truth, clock, logger, random, dimensionsOf } = options;
  const client = createPineconeClient({ apiKey: settings.apiKey, clock, random, fetch: options.fetch ?? fetch });
  const records = createNamespaceRecords(client);
  const unconfirmed = createUnconfirmedWrites(clock);
  const repair = createRepair({
    ...{ truth, records, toRecords, clock, logger },
    onWritten: ({ namespace }, written, lsn) => unconfirmed.add(namespace, written, lsn),
  });
  const circuit = createSearchCircuit({ clock, logger, random });
  const later = createLaterWork({ clock, logger });
  const stopped = new AbortController();
  // Every deletion under way listens.
  setMaxListeners(0, stopped.signal);
  const indexes = createPineconeIndexes({
    ...{ client, settings, clock, logger },
    dimensions: options.dimensions,
    lifetime: stopped.signal,
  });
  /** Of the vectors that were written in this process, by namespace. */
  const widths = new Map<string, number>();
  const checkedAt = new Map<string, number>();

  function refuseWidth(name: string, vectors: readonly Float32Array[]): void {
    const width = widths.get(name) ?? vectors[0]?.length;
    if (vectors.some(({ length }) => length !== width)) throw widthMismatch();
  }

  async function toRecords(
    namespace: Namespace,
    written: readonly VectorRecord[],
  ): Promise<readonly PineconeRecord<RecordMetadata>[]> {
    const chunkIds = settings.sparse ? [...new Set(written.map(({ chunkId }) => chunkId))] : [];
    const texts = chunkIds.length === 0 ? null : await truth.readTexts(namespace, chunkIds);
    const sparse = new Map([...(texts ?? [])].map(([id, text]) => [id, sparseOfText(textTerms(text))]));
    return written.map((record) => {
      const words = sparse.get(record.chunkId) ?? null;
      return {
        id: recordId(record),
        values: numbersOf(record.vector),
        metadata: { source_id: record.sourceId },
        ...(words === null ? {} : { sparseValues: words }),
      };
    });
  }

  /** Where the namespace's vectors may be; nowhere when no index of their width exists. */
  async function placesOf(namespace: Namespace, signal: AbortSignal | undefined): Promise<readonly Place[]> {
    const name = namespaceName(namespace);
    const width = widths.get(name) ?? dimensionsOf(namespace.generation);
    const targets = width === null ? await indexes.all(signal) : [await indexes.of(width, { create: false, signal })];
    return targets.filter((target) => target !== null).map((target) => placeIn(target, name));
  }

  /** Brings the namespace in line with the truth, in the background. `surely`: without comparing the counts first. */
  function checkLater(
    namespace: Namespace,
    { afterMs, surely }: { readonly afterMs: number; readonly surely: boolean },
  ) {
    const name = namespaceName(namespace);
    later.add({
      key: `${surely ? 'repair' : 'check'} ${name}`,
      what: 'Bringing the vector index in line with the database',
      afterMs,
      async run(signal) {
        for (const place of await placesOf(namespace, signal)) {
          await untilShown(place, signal);
          await (surely ? repair.repair : repair.check)(namespace, place, signal);
        }
      },
    });
  }

  /** What a crash or another process left undone is found when a namespace is used, once in a while. */
  function checkOnce(namespace: Namespace): void {
    const name = namespaceName(namespace);
    const now = clock.now();
    if (now - (checkedAt.get(name) ?? 0) < CHECKED_AGAIN_MS) return;
    if (checkedAt.size >= MOST_CHECKED) checkedAt.clear();
    checkedAt.set(name, now);
    checkLater(namespace, { afterMs: 0, surely: false });
  }

  /** Asks until Pinecone shows what was written here, or it has had the time for it. */
  async function untilShown(place: Place, signal: AbortSignal): Promise<void> {
    const probe = new Float32Array(place.dimensions);
    probe[0] = 1;
    for (const until = clock.now() + SHOWN_WITHIN_MS; clock.now() < until; ) {
      if (!unconfirmed.names().includes(place.namespace)) return;
      const { lsn } = await records.query(place, { vector: probe, topK: 1, sparse: null }, signal);
      unconfirmed.confirm(place.namespace, lsn);
      if (!unconfirmed.names().includes(place.namespace)) return;
      await clock.sleep(ASKED_EVERY_MS, signal);
    }
    unconfirmed.forget(place.namespace);
  }

  /** Writers wait when too much of what they wrote is not shown yet. */
  async function relieve(target: IndexTarget, signal: AbortSignal | undefined): Promise<void> {
    const most = options.unconfirmedBytes ?? UNCONFIRMED_BYTES;
    while (unconfirmed.bytes > most) {
      const [largest] = unconfirmed.names();
      if (largest === undefined) return;
      await abortable(untilShown(placeIn(target, largest), stopped.signal), signal);
    }
  }

  /** A deletion that takes long or fails is finished in the background: the truth has it already. */
  async function deleted(namespace: Namespace, signal: AbortSignal | undefined, work: () => Promise<void>) {
    const over = new AbortController();
    const done = work().then(
      () => checkLater(namespace, { afterMs: CHECKED_AFTER_MS, surely: false }),
      (error: unknown) => {
        if (stopped.signal.aborted) return;
        logger.warn({ code: toAppError(error).code, err: error }, 'vectors are deleted later from the index');
        checkLater(namespace, { afterMs: 0, surely: true });
        // The list may not have shown all of it yet.
        checkLater(namespace, { afterMs: CHECKED_AFTER_MS, surely: false });
      },
    );
    const waited = clock.sleep(DELETION_WAIT_MS, over.signal).catch(() => {});
    try {
      await abortable(Promise.race([done, waited]), signal);
    } finally {
      over.abort();
    }
  }

  async function search(namespace: Namespace, query: VectorQuery, signal: AbortSignal | undefined) {
    const { vector, limit, filter, terms = [] } = query;
    const name = namespaceName(namespace);
    checkOnce(namespace);
    /** In the order in which Pinecone gave them. */
    const scored = new Map<string, ScoredChunk>();
    const asked = new Set<string>();
    const score = async (chunkIds: readonly string[]): Promise<void> => {
      const fresh = chunkIds.filter((chunkId) => !asked.has(chunkId));
      for (const chunkId of fresh) asked.add(chunkId);
      const exact = await exactScores(truth.readVectors, namespace, { vector, chunkIds: fresh });
      const byId = new Map(exact.map((chunk) => [chunk.chunkId, chunk]));
      for (const chunkId of fresh) {
        const chunk = byId.get(chunkId);
        if (chunk !== undefined) scored.set(chunkId, chunk);
      }
    };
    // Before Pinecone is asked: what leaves this list meanwhile is in the answer.
    const recent = unconfirmed.best(name, { vector, limit, filter });
    const target = await indexes.of(vector.length, { create: false, signal });
    const sparse = settings.sparse ? sparseOfQuestion(terms, 1 - DENSE_SHARE) : null;
    const weighed = sparse === null ? vector : vector.map((component) => component * DENSE_SHARE);
    for (let topK = Math.min(MOST_HITS, Math.max(2 * limit, LEAST_HITS)); target !== null; topK *= 4) {
      const hits = Math.min(MOST_HITS, topK);
      const answer = await records.query(
        placeIn(target, name),
        { vector: weighed, topK: hits, sparse, ...(filter === undefined ? {} : { filter }) },
        signal,
      );
      unconfirmed.confirm(name, answer.lsn);
      await score(answer.chunkIds);
      // Several windows of a chunk and what was deleted take places: ask for more.
      if (scored.size >= limit || !answer.hasMore || hits >= MOST_HITS) break;
    }
    if (sparse === null) {
      await score(recent);
      return [...scored.values()].sort(byScore).slice(0, limit);
    }
    // Words have chosen, too, and cosines alone would undo that: as many of what is new as of what Pinecone shows.
    const shown = [...scored.values()];
    await score(recent);
    const fresh = [...scored.values()].filter((chunk) => !shown.includes(chunk));
    const share = Math.max(Math.ceil(limit / 2), limit - fresh.length);
    return [...shown.slice(0, share), ...fresh.sort(byScore)].slice(0, limit).sort(byScore);
  }

  return {
    async upsert(namespace, written, signal) {
      signal?.throwIfAborted();
      const [first] = written;
      if (first === undefined) return;
      const name = namespaceName(namespace);
      refuseWidth(
        name,
        written.map(({ vector }) => vector),
      );
      const usable = written.filter(({ vector }) => isUsable(vector));
      if (usable.length === 0) return;
      try {
        const target = await indexes.of(first.vector.length, { create: true, signal });
        if (target === null) throw new AppError('internal_error', 'No Pinecone index was made.', { retryable: true });
        widths.set(name, target.dimensions);
        const lsn = await records.upsert(placeIn(target, name), await toRecords(namespace, usable), signal);
        unconfirmed.add(name, usable, lsn);
        await relieve(target, signal);
      } catch (error) {
        if (!stopped.signal.aborted) checkLater(namespace, { afterMs: 0, surely: true });
        throw error;
      }
    },
    async deleteDocuments(namespace, documentIds, signal) {
      signal?.throwIfAborted();
      if (documentIds.length === 0) return;
      const recent = unconfirmed.takeDocuments(namespaceName(namespace), new Set(documentIds));
      await deleted(namespace, signal, async () => {
        for (const place of await placesOf(namespace, stopped.signal)) {
          const ids = new Set(recent);
          await Promise.all(
            documentIds.map(async (documentId) => {
              for await (const page of records.list(place, documentPrefix(documentId), stopped.signal)) {
                for (const id of page) ids.add(id);
              }
            }),
          );
          if (ids.size > 0) await records.remove(place, [...ids], stopped.signal);
        }
      });
    },
    async deleteNamespace(namespace, signal) {
      signal?.throwIfAborted();
      unconfirmed.forget(namespaceName(namespace));
      await deleted(namespace, signal, async () => {
        for (const place of await placesOf(namespace, stopped.signal)) await records.removeAll(place, stopped.signal);
      });
    },
    async search(namespace, query, signal) {
      signal?.throwIfAborted();
      refuseWidth(namespaceName(namespace), [query.vector]);
      if (query.limit <= 0 || !isUsable(query.vector) || query.filter?.sourceIds?.length === 0) return [];
      return circuit.run(() => search(namespace, query, signal), signal);
    },
    async score(namespace, { vector, chunkIds }, signal) {
      signal?.throwIfAborted();
      const found = exactScores(truth.readVectors, namespace, { vector, chunkIds: [...new Set(chunkIds)] });
      return abortable(found, signal);
    },
    async start() {
      using deadline = createDeadline(options.startWithinMs ?? START_WITHIN_MS, stopped.signal);
      try {
        await indexes.start(deadline.signal);
      } catch (error) {
        if (!(error instanceof AppError && error.retryable)) throw error;
        logger.warn({ code: error.code, err: error }, 'Pinecone is not to be had; words answer alone until it is');
      }
    },
    async stop() {
      stopped.abort(new AppError('server_draining', 'The vector store is stopping.'));
      await later.stop();
    },
  };
}

function placeIn(target: IndexTarget, namespace: string): Place {
  return { ...target, namespace };
}
