import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createEventParser, type ServerSentEvent } from './server-sent-events.ts';

function* inChunks(bytes: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  let start = 0;
  for (const size of sizes) {
    yield bytes.subarray(start, start + size);
    start += size;
  }
  yield bytes.subarray(start);
}

async function read(
  text: string,
  sizes: readonly number[] = [],
  maxEventBytes = 1_000_000,
): Promise<ServerSentEvent[]> {
  const parser = createEventParser({ maxEventBytes });
  const events: ServerSentEvent[] = [];
  for (const bytes of inChunks(new TextEncoder().encode(text), sizes)) events.push(...parser.push(bytes));
  const torn = parser.end();
  return torn === null ? events : [...events, torn];
}

const message = (data: string, rest: Partial<ServerSentEvent> = {}): ServerSentEvent => ({
  event: 'message',
  data,
  id: '',
  torn: false,
  ...rest,
});

describe('server-sent events reader', () => {
  it.each<[string, string, ServerSentEvent[]]>([
    ['one event', 'data: a\n\n', [message('a')]],
    ['no blank after the colon, and only one is dropped', 'data:a\n\ndata:  b\n\n', [message('a'), message(' b')]],
    ['several data lines', 'data: a\ndata\ndata: b\n\n', [message('a\n\nb')]],
    [
      'names and ids that stay',
      'event: x\nid: 7\ndata: a\n\ndata: b\n\n',
      [message('a', { event: 'x', id: '7' }), message('b', { id: '7' })],
    ],
    ['an id with a zero byte is no id', 'id: 1\0\ndata: a\n\n', [message('a')]],
    ['comments and unknown fields', ': hello\n\nretry: 5\nother: x\ndata: a\n: in between\n\n', [message('a')]],
    ['an event without data is none', 'event: x\n\ndata: a\n\n', [message('a')]],
    ['a byte order mark', '\ufeffdata: a\n\n', [message('a')]],
    ['a torn last event', 'data: a\n\ndata: {"b', [message('a'), message('{"b', { torn: true })]],
    ['a last event without its blank line', 'data: [DONE]\n', [message('[DONE]', { torn: true })]],
    ['nothing', '', []],
  ])('reads %s', async (_name, text, events) => {
    await expect(read(text)).resolves.toEqual(events);
  });

  it.each(['\n', '\r', '\r\n'])('takes %j as a line end', async (end) => {
    await expect(read(['data: a', 'data: b', '', 'data: c', '', ''].join(end))).resolves.toEqual([
      message('a\nb'),
      message('c'),
    ]);
  });

  it('gives the same events however the bytes are split', async () => {
    const piece = fc.constantFrom(
      'data: ',
      'data',
      ':',
      'event: ',
      'id: ',
      '\n',
      '\r',
      '\r\n',
      '\n\n',
      'é',
      '漢字',
      '🙂',
      'x',
      ' ',
    );
    const text = fc.array(piece, { maxLength: 60 }).map((pieces) => pieces.join(''));
    const sizes = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 80 });
    await fc.assert(
      fc.asyncProperty(text, sizes, async (stream, cuts) => {
        expect(await read(stream, cuts)).toEqual(await read(stream));
      }),
      { numRuns: 300 },
    );
  });

  it('gives back any data that was written', async () => {
    const data = fc.array(fc.string({ unit: 'grapheme', maxLength: 40 }), { maxLength: 20 });
    const sizes = fc.array(fc.integer({ min: 1, max: 13 }), { maxLength: 50 });
    await fc.assert(
      fc.asyncProperty(data, sizes, async (texts, cuts) => {
        const written = texts.map((text) => JSON.stringify(text));
        const stream = written.map((line) => `data: ${line}\r\n\r\n`).join('');
        expect((await read(stream, cuts)).map((event) => event.data)).toEqual(written);
      }),
    );
  });

  it('refuses an event larger than its limit, on one line or on many', async () => {
    const limit = 1000;
    await expect(read(`data: ${'x'.repeat(2000)}`, Array(300).fill(7), limit)).rejects.toMatchObject({
      code: 'provider_invalid_response',
    });
    await expect(read('data: xxxxxxxxxx\n'.repeat(100), [], limit)).rejects.toMatchObject({
      code: 'provider_invalid_response',
    });
    await expect(read(`data: ${'x'.repeat(900)}\n\n`.repeat(50), [], limit)).resolves.toHaveLength(50);
  });

  it('stays linear when a large event comes in small pieces', async () => {
    const started = performance.now();
    const size = 400_000;
    const events = await read(`data: ${'x'.repeat(size)}\n\n`, Array(size / 10).fill(10));
    expect(events[0]?.data).toHaveLength(size);
    expect(performance.now() - started).toBeLessThan(3000);
  });
});
