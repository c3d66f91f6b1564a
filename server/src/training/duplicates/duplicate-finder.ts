import type { Lifecycle } from '../../kernel/index.ts';
import { createWorkerPool, type WorkerPool, workerModule } from '../../resilience/index.ts';
import type { Bot, Fingerprint, Store } from '../../store/index.ts';
import type { DuplicateGroup, Fingerprints } from './duplicate-groups.ts';
import { SIGNATURE_VALUES } from './text-signature.ts';

/** Documents of a bot that say the same or nearly the same. */
export interface DuplicateDocuments {
  /** The id of the oldest document. */
  readonly id: string;
  /** All of them, also those that are not in `documents`. */
  readonly count: number;
  /** Of the one that has the least in common with the oldest, 0..1. */
  readonly similarity: number;
  /** The oldest first, at most 100. */
  readonly documents: readonly (Omit<Fingerprint, 'signature' | 'position'> & { readonly similarity: number })[];
}

export interface DuplicateFinder extends Lifecycle {
  /** Every group among the bot's searchable documents, of which at most the 100,000 oldest are compared. */
  find(bot: Bot, signal?: AbortSignal): Promise<readonly DuplicateDocuments[]>;
}

const DOCUMENTS_A_PAGE = 1_000;
const MOST_DOCUMENTS = 100_000;
const MOST_SHOWN = 100;
const TIMEOUT_MS = 60_000;
const IDLE_MS = 3_000;

/** Compares the signatures that training has stored, in a worker thread. */
export function createDuplicateFinder({ store }: { readonly store: Pick<Store, 'forTenant'> }): DuplicateFinder {
  const makePool = (): WorkerPool<Fingerprints, readonly DuplicateGroup[]> =>
    createWorkerPool({
      module: workerModule(import.meta.url, './duplicates-worker'),
      size: 1,
      callTimeoutMs: TIMEOUT_MS,
      idleTimeoutMs: IDLE_MS,
      transferOf: ({ signatures, signed }) => [signatures.buffer as ArrayBuffer, signed.buffer as ArrayBuffer],
    });
  let pool: WorkerPool<Fingerprints, readonly DuplicateGroup[]> | null = null;

  return {
    name: 'duplicates',
    async find(bot, signal) {
      const known: Fingerprint[] = [];
      const signatures: Uint8Array[] = [];
      const { documents } = store.forTenant(bot.tenantId);
      for (let more = true; more && known.length < MOST_DOCUMENTS; ) {
        signal?.throwIfAborted();
        const after = known.at(-1)?.position ?? 0;
        const page = await documents.fingerprints(bot.id, { after, limit: DOCUMENTS_A_PAGE });
        for (const fingerprint of page) {
          signatures.push(fingerprint.signature ?? new Uint8Array());
          known.push({ ...fingerprint, signature: null });
        }
        more = page.length === DOCUMENTS_A_PAGE;
      }
      if (known.length < 2) return [];
      pool ??= makePool();
      const contentHashes = known.map(({ contentHash }) => contentHash);
      const groups = await pool.call({ contentHashes, ...packed(signatures) }, signal);
      return groups.map((group) => toDocuments(group, known));
    },
    async start() {},
    async stop() {
      await pool?.stop();
      pool = null;
    },
  };
}

function packed(signatures: readonly Uint8Array[]): Pick<Fingerprints, 'signatures' | 'signed'> {
  const bytes = new Uint8Array(signatures.length * SIGNATURE_VALUES * 2);
  const signed = new Uint8Array(signatures.length);
  for (const [place, signature] of signatures.entries()) {
    if (signature.length !== SIGNATURE_VALUES * 2) continue;
    bytes.set(signature, place * SIGNATURE_VALUES * 2);
    signed[place] = 1;
  }
  return { signatures: new Uint16Array(bytes.buffer), signed };
}

function toDocuments({ members, similarities }: DuplicateGroup, known: readonly Fingerprint[]): DuplicateDocuments {
  const documents = members.slice(0, MOST_SHOWN).flatMap((place, position) => {
    const fingerprint = known[place];
    if (fingerprint === undefined) return [];
    const { signature: _, position: __, ...document } = fingerprint;
    return [{ ...document, similarity: similarities[position] ?? 0 }];
  });
  return {
    id: documents[0]?.id ?? '',
    count: members.length,
    similarity: similarities.reduce((least, similarity) => Math.min(least, similarity), 1),
    documents,
  };
}
