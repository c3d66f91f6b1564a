import {
  type AddedDocument,
  type Bot,
  type ChunkVectors,
  indexParts,
  type Source,
  type Store,
} from '../../store/index.ts';
import type { VectorRecord, VectorStore } from '../../vector-store/index.ts';

/** A source of a bundle on its way into the store; its last state is known when its last document is. */
export type ImportedSource = Omit<Source, 'tenantId' | 'botId'>;

/** How a source ends: what its row says then, and the documents that are searchable from then on. */
export interface SourceEnd {
  readonly id: string;
  readonly changes: Pick<Source, 'status' | 'stage' | 'progress' | 'counts' | 'updatedAt'> &
    Partial<Pick<Source, 'lastError'>>;
  readonly searchable: readonly string[];
}

/** Vectors of a document, in the order of its chunks. */
export interface ImportedVectors {
  readonly documentId: string;
  readonly sourceId: string;
  readonly rows: readonly ChunkVectors[];
}

/**
 * Content of a bundle, written many documents at a time: a small bot takes one transaction, as each one costs more than
 * what is written in it.
 */
export interface ImportBatch {
  /** Sources before their documents, documents before the end of their source. */
  addSource(source: ImportedSource): void;
  /** Writes what has gathered once it is large. `size`: characters held in memory for it. */
  addDocument(document: AddedDocument, vectors: ImportedVectors | null, size: number): Promise<void>;
  /** Writes what has gathered once it is large, as a source may have no documents. */
  endSource(end: SourceEnd): Promise<void>;
  /** Writes what has gathered. */
  flush(): Promise<void>;
}

/** Some 300 chunks with their vectors: others of the tenant wait while they are written. */
const LARGE = 2 * 1024 ** 2;
/** What a source takes besides its documents. */
const SOURCE_SIZE = 1_000;

export function createImportBatch(
  bot: Bot,
  options: {
    readonly store: Pick<Store, 'forTenant'>;
    readonly vectors: Pick<VectorStore, 'upsert'>;
    readonly generation: string;
  },
): ImportBatch {
  const { generation } = options;
  const { chunkSet } = indexParts(generation);
  const tenant = options.store.forTenant(bot.tenantId);
  const namespace = { tenantId: bot.tenantId, botId: bot.id, generation };
  let sources = new Map<string, ImportedSource>();
  let documents: AddedDocument[] = [];
  let vectors: ImportedVectors[] = [];
  let ends: SourceEnd[] = [];
  /** Documents that wait here and whose source has ended. */
  let shown = new Set<string>();
  let size = 0;

  async function flush(): Promise<void> {
    if (sources.size + documents.length + ends.length === 0) return;
    const written = {
      sources: [...sources.values()],
      documents: documents.map((added) => (shown.has(added.document.id) ? asSearchable(added) : added)),
      vectors: vectors.flatMap(({ rows }) => rows),
      ends,
    };
    const records = vectors.flatMap(recordsOf);
    sources = new Map();
    documents = [];
    vectors = [];
    ends = [];
    shown = new Set();
    size = 0;
    await tenant.transaction(async (repositories) => {
      await repositories.sources.createMany(bot.id, written.sources);
      if (written.documents.length > 0) {
        const to = { botId: bot.id, ...(chunkSet === null ? {} : { chunkSet }) };
        await repositories.documents.addMany(to, written.documents);
      }
      if (written.vectors.length > 0) await repositories.chunks.putVectors(generation, written.vectors);
      for (const { id, changes, searchable } of written.ends) {
        await repositories.documents.setState(searchable, 'searchable');
        await repositories.sources.update(id, changes);
      }
    });
    // The truth first: what an index is told of is there.
    await options.vectors.upsert(namespace, records);
  }

  return {
    flush,
    addSource(source) {
      sources.set(source.id, source);
      size += SOURCE_SIZE;
    },
    async addDocument(document, ofDocument, documentSize) {
      documents.push(document);
      if (ofDocument !== null) vectors.push(ofDocument);
      size += documentSize;
      if (size > LARGE) await flush();
    },
    async endSource(end) {
      const waiting = sources.get(end.id);
      if (waiting === undefined) {
        ends.push(end);
      } else {
        // Nothing of it is written yet: it begins as it ends.
        sources.set(end.id, { ...waiting, ...end.changes });
        for (const id of end.searchable) shown.add(id);
      }
      if (size > LARGE) await flush();
    },
  };
}

function asSearchable(added: AddedDocument): AddedDocument {
  return { ...added, document: { ...added.document, state: 'searchable' } };
}

function recordsOf({ documentId, sourceId, rows }: ImportedVectors): VectorRecord[] {
  return rows.flatMap(({ chunkId, windows }) =>
    windows.map((vector, window) => ({ chunkId, documentId, sourceId, window, vector })),
  );
}
