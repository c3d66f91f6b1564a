import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject, JsonValue } from '../../kernel/index.ts';
import { MAX_BODY_BYTES, readTask, writeTask } from './message.ts';
import type { CeleryEnvelope } from './ports.ts';
import { fromRedisText, listFor, listsOf, toRedisText } from './redis-wire.ts';

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

function envelope(changes: Partial<CeleryEnvelope> = {}): CeleryEnvelope {
  return { ...writeTask({ id: 'id-1', name: 'a.task', args: [1], kwargs: { two: 2 } }), ...changes };
}

function withHeaders(headers: JsonObject): CeleryEnvelope {
  return envelope({ headers: { ...envelope().headers, ...headers } });
}

const bodyOf = (value: unknown): CeleryEnvelope => envelope({ body: Buffer.from(JSON.stringify(value)) });

describe('a task message', () => {
  it('says after writing and reading what it said before', () => {
    fc.assert(
      fc.property(
        fc.record({
          args: fc.array(fc.jsonValue({ maxDepth: 4 })),
          kwargs: fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 })),
          eta: fc.option(fc.integer({ min: 0, max: 4_000_000_000_000 })),
          priority: fc.integer({ min: 0, max: 9 }),
        }),
        ({ args, kwargs, eta, priority }) => {
          const parts = { args: asJson(args) as readonly JsonValue[], kwargs: asJson(kwargs) as JsonObject };
          const written = writeTask({ id: 'id-1', name: 'a.task', eta, priority, ...parts });
          const carried = fromRedisText(toRedisText(written, 'queue'));
          expect(carried).toMatchObject({ correlationId: 'id-1', priority });
          const read = readTask(carried ?? written);
          expect(read).toMatchObject({ type: 'task', task: { id: 'id-1', name: 'a.task', eta, ...parts } });
        },
      ),
    );
  });

  it.each([
    ['2026-01-02T03:04:05.678000+00:00', NOW],
    ['2026-01-02T03:04:05.677001+00:00', NOW],
    ['2026-01-02T05:04:05.678+02:00', NOW],
    ['2026-01-02T03:04:05.678Z', NOW],
    ['2026-01-02T03:04:05.678', NOW],
    ['2026-01-02T03:04:05+00:00', NOW - 678],
  ])('reads the time %s, never too early', (eta, time) => {
    expect(readTask(withHeaders({ eta }))).toMatchObject({ task: { eta: time } });
  });

  const refusals: [string, CeleryEnvelope][] = [
    ['pickle', envelope({ contentType: 'application/x-python-serialize', contentEncoding: 'binary' })],
    ['another encoding', envelope({ contentEncoding: 'utf-16' })],
    ['message protocol 1', envelope({ headers: {}, body: Buffer.from('{"task":"a.task","id":"id-1","args":[]}') })],
    ['the body of protocol 1', bodyOf({ task: 'a.task', id: 'id-1', args: [], kwargs: {} })],
    ['no JSON', envelope({ body: Buffer.from('[[1], {}') })],
    ['args that are no list', bodyOf([{}, {}, {}])],
    ['kwargs that are no object', bodyOf([[], [], {}])],
    ['a chord', bodyOf([[], {}, { chord: { task: 'b' } }])],
    ['a group as callback', bodyOf([[], {}, { callbacks: [{ task: 'b', subtask_type: 'group' }] }])],
    ['a callback without a name', bodyOf([[], {}, { callbacks: [{}] }])],
    ['a time that is none', withHeaders({ eta: 'soon' })],
    ['a body that is too large', envelope({ body: Buffer.alloc(MAX_BODY_BYTES + 1, 32) })],
    ['a body nested too deep', envelope({ body: Buffer.from(`${'['.repeat(5_000)}${']'.repeat(5_000)}`) })],
    ['a bomb', { ...withHeaders({ compression: 'application/x-gzip' }), body: Buffer.from('not compressed at all') }],
  ];
  it.each(refusals)('with %s is refused, and its caller can be told', (_name, given) => {
    expect(readTask(given)).toMatchObject({ type: 'refused', id: 'id-1', error: { type: 'NotImplementedError' } });
  });

  it('of any shape is read or refused, never thrown at', () => {
    const json = fc.jsonValue({ maxDepth: 3 });
    const texts = fc.oneof(fc.string(), fc.constantFrom('application/json', 'utf-8', 'application/x-gzip'));
    const headers = fc.record(
      { id: json, task: json, eta: json, expires: json, retries: json, timelimit: json, compression: texts },
      { requiredKeys: [] },
    );
    const bodies = fc.oneof(
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      fc.tuple(json, json, json).map((body) => Buffer.from(JSON.stringify(body))),
      json.map((body) => Buffer.from(JSON.stringify(body))),
    );
    fc.assert(
      fc.property(headers, bodies, fc.tuple(texts, texts), (given, body, [contentType, contentEncoding]) => {
        const about = { correlationId: null, replyTo: null, priority: 0, contentType, contentEncoding, body };
        const read = readTask({ ...about, headers: JSON.parse(JSON.stringify(given)) as JsonObject });
        expect(['task', 'refused']).toContain(read.type);
      }),
      { numRuns: 500 },
    );
  });
});

describe('a message in Redis', () => {
  it('that is none is known as such', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.jsonValue().map((value) => JSON.stringify(value)),
        ),
        (text) => {
          const read = fromRedisText(text);
          if (read !== null) expect(Buffer.isBuffer(read.body)).toBe(true);
        },
      ),
    );
    expect(fromRedisText('{"body":7}')).toBeNull();
  });

  it('goes to the list of its priority, as kombu has them', () => {
    expect(listsOf('q')).toEqual(['q', 'q\u0006\u00163', 'q\u0006\u00166', 'q\u0006\u00169']);
    expect([0, 2, 3, 5, 9, 255, -1].map((priority) => listFor('q', priority).slice(-1))).toEqual([
      ...['q', 'q', '3', '3', '9', '9', 'q'],
    ]);
  });
});

const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
