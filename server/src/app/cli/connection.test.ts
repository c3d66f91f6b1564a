import { describe, expect, it } from 'vitest';
import { openConnection } from './connection.ts';

describe('a command without a server', () => {
  it.each([
    ['says where it made an installation', '/data/typo', ['/data/typo']],
    ['says nothing of one that was there', null, []],
  ])('%s', async (_, madeIn, told) => {
    const notes: string[] = [];
    const connection = await openConnection(
      {},
      {
        fetch,
        findRunning: async () => null,
        startInProcess: async () => ({ url: 'http://127.0.0.1:1', key: 'k', madeIn, stop: async () => {} }),
        tell: (note) => void notes.push(note),
      },
    );
    await connection.close();
    expect(notes).toEqual(told.map((folder) => expect.stringContaining(folder)));
  });
});
