import { expect, it } from 'vitest';
import { createManualClock } from '../../kernel/index.ts';
import type { IdempotencyRecord, IdempotencyRepository } from '../../store/index.ts';
import { createStreamClaims } from './stream-claims.ts';
import { streamUnavailable } from './stream-unavailable.ts';

const claim = { key: 'key', fingerprint: 'f' };
const held: IdempotencyRecord = { ...claim, state: 'running', status: null, body: 'msg_1', createdAt: 0 };

function createClaims(record: IdempotencyRecord) {
  const passed: unknown[] = [];
  const repository: Partial<IdempotencyRepository> = {
    claim: async () => record,
    passOn: async (...change) => {
      passed.push(change);
      return true;
    },
  };
  const records = () => repository as IdempotencyRepository;
  const clock = createManualClock(held.createdAt);
  return { passed, clock, claims: createStreamClaims({ records, clock, lostAfterMs: 1000 }) };
}

it('waits for a stream that has said nothing no longer than its client does', async () => {
  const { claims } = createClaims(held);
  const client = new AbortController();
  let looks = 0;
  const taking = claims.take(claim, { tenantId: 'tnt_1', id: 'msg_2', signal: client.signal }, async () => {
    looks += 1;
    queueMicrotask(() => client.abort(new Error('left')));
    return null;
  });
  await expect(taking).rejects.toThrow('left');
  expect(looks).toBe(1);
});

it('takes the key of a dead process at once when its stream is not to be found, and only then', async () => {
  const { claims, passed } = createClaims({ ...held, isAbandoned: true });
  const claimant = { tenantId: 'tnt_1', id: 'msg_2' };
  expect(await claims.take(claim, claimant, async ({ id }) => `stream of ${id}`)).toBe('stream of msg_1');
  expect(passed).toEqual([]);
  expect(await claims.take(claim, claimant, async () => null)).toBe(null);
  expect(passed).toEqual([['key', { from: 'msg_1', to: { body: 'msg_2', createdAt: 0 } }]]);
  expect(await claims.takeOver(claim, { tenantId: 'tnt_1', id: 'msg_1' })).toBe(true);
  expect(passed[1]).toEqual(['key', { from: 'msg_1', to: { body: 'msg_1', createdAt: 0 } }]);
});

it('never makes an answer a second time because it cannot be seen: waits a moment, then says so', async () => {
  const claimant = { tenantId: 'tnt_1', id: 'msg_2' };
  const { claims, passed, clock } = createClaims({ ...held, state: 'done', createdAt: -60_000 });
  let looks = 0;
  const seenAgain = claims.take(claim, claimant, async ({ id }) => {
    looks += 1;
    setImmediate(() => void clock.advance(100));
    if (looks < 3) throw streamUnavailable();
    return `stream of ${id}`;
  });
  expect(await seenAgain).toBe('stream of msg_1');
  const unseen = claims.take(claim, claimant, async () => {
    setImmediate(() => void clock.advance(1_000));
    throw streamUnavailable();
  });
  await expect(unseen).rejects.toMatchObject({ code: 'stream_unavailable', retryable: true, retryAfterMs: 1_000 });
  expect(passed).toEqual([]);
});

it('makes the answer of a dead process anew when it cannot be seen whether there is more of it', async () => {
  const { claims, passed } = createClaims({ ...held, isAbandoned: true });
  const taken = claims.take(claim, { tenantId: 'tnt_1', id: 'msg_2' }, () => Promise.reject(streamUnavailable()));
  expect(await taken).toBeNull();
  expect(passed).toHaveLength(1);
});
