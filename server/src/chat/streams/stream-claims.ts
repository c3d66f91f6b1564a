import type { Clock } from '../../kernel/index.ts';
import { type IdempotencyRepository, idempotencyInProgress, idempotencyKeyReused } from '../../store/index.ts';
import type { StreamClaim, StreamName } from './ports.ts';
import { isStreamUnavailable } from './stream-unavailable.ts';

export interface StreamClaimsOptions {
  readonly records: (tenantId: string) => IdempotencyRepository;
  readonly clock: Clock;
  /** An answer that nobody can find is taken for lost after so many milliseconds. */
  readonly lostAfterMs: number;
}

/** The stream of an id; `again`: it has failed and frees its key now; null: it is neither live nor kept, as far as can be seen. */
export type LookForStream<Stream> = (name: StreamName) => Promise<Stream | 'again' | null>;

/** Who asks, and under which id its stream would be made. */
export interface Claimant extends StreamName {
  /** Ends the waiting, with its reason. */
  readonly signal?: AbortSignal;
}

/** Which stream belongs to a key, for all processes: the database knows. */
export interface StreamClaims {
  /**
   * Null: the key is the claimant's. Else the stream that it belongs to. Rejects with `idempotency_key_reused`, and with
   * `idempotency_in_progress` when the stream cannot be found for a minute. What `look` rejects with is passed on; a
   * `stream_unavailable` only when it lasts for some seconds, and not when the maker is dead: then the key is taken.
   */
  take<Stream>(claim: StreamClaim, claimant: Claimant, look: LookForStream<Stream>): Promise<Stream | null>;
  /** This process goes on with the stream, which another had begun. False: the key is no longer that stream's. */
  takeOver(claim: StreamClaim, name: StreamName): Promise<boolean>;
  /** The stream has ended, and stays the answer to the key. */
  keep(claim: StreamClaim, name: StreamName): Promise<void>;
  /** The stream has failed: the next request begins anew. */
  free(claim: StreamClaim, name: StreamName): Promise<void>;
}

const POLL_MS = 100;
const MAX_WAIT_MS = 60_000;
/** How long streams of others may be out of sight before the client is told. */
const UNSEEN_MS = 3_000;

export function createStreamClaims({ records, clock, lostAfterMs }: StreamClaimsOptions): StreamClaims {
  return {
    async take(claim, { tenantId, id, signal }, look) {
      const repository = records(tenantId);
      const { key, fingerprint } = claim;
      const giveUpAt = clock.now() + MAX_WAIT_MS;
      let unseenSince: number | null = null;
      for (;;) {
        const held = await repository.claim({ key, fingerprint, body: id, createdAt: clock.now() });
        if (held === null) return null;
        if (held.fingerprint !== fingerprint) throw idempotencyKeyReused();
        const holder = held.body ?? '';
        try {
          const stream = await look({ tenantId, id: holder });
          if (stream === 'again') continue;
          if (stream !== null) return stream;
          unseenSince = null;
        } catch (error) {
          if (!isStreamUnavailable(error)) throw error;
          unseenSince ??= clock.now();
          if (held.isAbandoned !== true && clock.now() - unseenSince >= UNSEEN_MS) throw error;
        }
        const isUnseen = unseenSince !== null && held.isAbandoned !== true;
        if (!isUnseen && (held.state === 'done' || held.isAbandoned || held.createdAt + lostAfterMs < clock.now())) {
          const next = { body: id, createdAt: clock.now() };
          if (await repository.passOn(key, { from: holder, to: next })) return null;
          continue;
        }
        // Another process has begun it, and it has said nothing yet.
        if (clock.now() >= giveUpAt) throw idempotencyInProgress();
        await clock.sleep(POLL_MS, signal);
      }
    },
    takeOver: ({ key }, { tenantId, id }) =>
      records(tenantId).passOn(key, { from: id, to: { body: id, createdAt: clock.now() } }),
    keep: ({ key }, { tenantId, id }) => records(tenantId).complete(key, { status: 200, body: id }),
    free: ({ key }, { tenantId }) => records(tenantId).release(key),
  };
}
