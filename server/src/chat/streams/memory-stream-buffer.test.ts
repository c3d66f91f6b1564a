import { describe, expect, it } from 'vitest';
import { createManualClock } from '../../kernel/index.ts';
import { createMemoryStreamBuffer } from './memory-stream-buffer.ts';
import { ABOUT, describeStreamBuffer, MAKING } from './stream-buffer.contract.ts';

describeStreamBuffer('memory', async (clock) => ({
  buffer: createMemoryStreamBuffer({ clock, keepMs: 60_000 }),
  stop: async () => {},
}));

describe('the memory buffer', () => {
  it('drops the oldest answers when they no longer fit, and tells those who read them', async () => {
    const buffer = createMemoryStreamBuffer({ clock: createManualClock(), maxBytes: 12_000 });
    for (const id of ['msg_1', 'msg_2', 'msg_3']) {
      await buffer.open({ ...ABOUT, id }, MAKING);
      await buffer.append(id, { first: 1, items: [{ type: 'text-delta', text: 'x'.repeat(2000) }] });
      await buffer.finish(id, { type: 'complete' });
    }
    expect(await buffer.find(ABOUT)).toBe(null);
    const second = await buffer.find({ ...ABOUT, id: 'msg_2' });
    await buffer.open({ ...ABOUT, id: 'msg_4' }, MAKING);
    await buffer.append('msg_4', { first: 1, items: [{ type: 'text-delta', text: 'x'.repeat(2000) }] });
    await buffer.finish('msg_4', { type: 'complete' });
    const read = second?.read()[Symbol.asyncIterator]();
    await expect(read?.next()).rejects.toMatchObject({ code: 'stream_interrupted' });
  });
});
