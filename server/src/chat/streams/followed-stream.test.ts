import { expect, it } from 'vitest';
import type { Batch } from '../../resilience/index.ts';
import type { AnswerEvent } from '../ports.ts';
import { followStream } from './followed-stream.ts';
import type { KeptStream } from './ports.ts';
import { brokenOff } from './taken-up-stream.ts';

/** A stream that breaks off each time that it is read, having told one more event each of the first times. */
function breakingOff({ tells }: { readonly tells: number }) {
  const reads = { count: 0 };
  const about = { id: 'msg_1', tenantId: 'tnt_1' } as KeptStream['about'];
  async function* read(): AsyncGenerator<Batch<AnswerEvent>> {
    reads.count += 1;
    const items = Array.from(
      { length: Math.min(reads.count, tells) },
      () => ({ type: 'text-delta', text: 'a' }) as const,
    );
    if (items.length > 0) yield { first: 1, items };
    throw brokenOff();
  }
  const kept: KeptStream = { about, isOver: false, read };
  const stream = followStream(kept, { takeUp: async () => null, find: async () => kept, enter: () => () => {} });
  return { stream, reads };
}

it('a stream that can neither be read nor taken up ends, and may be asked for again', async () => {
  for (const tells of [0, 2, 7]) {
    const { stream, reads } = breakingOff({ tells });
    const told: number[] = [];
    const reading = (async () => {
      for await (const { first } of stream.read()) told.push(first);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'stream_interrupted' });
    expect([reads.count, told.length, stream.canResume(brokenOff())]).toEqual([tells + 3, tells, true]);
  }
});
