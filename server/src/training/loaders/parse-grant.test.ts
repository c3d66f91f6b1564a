import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { demandOf, grantOf } from './parse-grant.ts';

const MOST = { timeoutMs: 30_000, heapMb: 512 };
const SMALL = { timeoutMs: 8_000, heapMb: 192 };

async function grantOfFile(opening: string, bytes: number): Promise<typeof MOST> {
  const folder = await mkdtemp(join(tmpdir(), 'grant-'));
  const path = join(folder, 'file');
  try {
    await writeFile(path, opening.padEnd(bytes, ' '));
    return grantOf(await demandOf({ path }), MOST);
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe('what a parse is granted', () => {
  it('is little for small files, and for the pages of a PDF', async () => {
    expect(await grantOfFile('text', 100_000)).toEqual(SMALL);
    expect(await grantOfFile('%PDF-1.7', 2_000_000)).toEqual(SMALL);
    expect(grantOf(await demandOf({ path: '/nowhere', bytes: 1_000 }), MOST)).toEqual(SMALL);
    expect(grantOf(await demandOf({ path: '/nowhere' }), MOST)).toEqual(SMALL);
  });

  it('is more memory for what may unfold, and more time for what is packed or large', async () => {
    expect(await grantOfFile('<html>', 1_000_000)).toEqual({ timeoutMs: 8_000, heapMb: 512 });
    expect(await grantOfFile('PK', 1_000_000)).toEqual(MOST);
    expect(await grantOfFile('text', 20_000_000)).toEqual(MOST);
  });
});
