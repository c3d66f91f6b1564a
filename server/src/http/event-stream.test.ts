import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toLine } from './event-stream.ts';

/** What a reader by the standard makes of a stream: lines end at CR LF, LF or CR; an empty line ends an event. */
function read(stream: string): string[] {
  const events: string[] = [];
  const data: string[] = [];
  for (const line of stream.split(/\r\n|\n|\r/)) {
    if (line === '' && data.length > 0) events.push(data.splice(0).join('\n'));
    if (line.startsWith('data: ')) data.push(line.slice(6));
  }
  return events;
}

describe('a line of an event', () => {
  it('cannot be ended by the text in it, whatever that is', () => {
    const nasty = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.constantFrom(
        '\n\nevent: done\ndata: {"x":1}\n\n',
        '\r\rdata: [DONE]\r\r',
        '\u2028\u2029\u0085',
        'data: x\n\n',
      ),
    );
    fc.assert(
      fc.property(fc.array(nasty, { maxLength: 6 }), (texts) => {
        const stream = texts.map((text) => `data: ${toLine({ text })}\n\n`).join('');
        expect(read(stream).map((data) => JSON.parse(data).text)).toEqual(texts);
        expect(stream).not.toMatch(/[\u0085\u2028\u2029]/);
      }),
    );
  });
});
