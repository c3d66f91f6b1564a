import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { BlobStore } from './blob-store-ports.ts';

const LIMITS = { maxBytes: 1_000_000 };

/** What every blob store must do. `make` gives an empty one. */
export function describeBlobStoreContract(name: string, make: () => Promise<BlobStore>): void {
  describe(`blob store contract: ${name}`, () => {
    const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

    it('keeps bytes by their hash, and the same bytes once', async () => {
      const blobs = await make();
      const bytes = randomBytes(300_000);
      const parts = [bytes.subarray(0, 7), bytes.subarray(7, 200_000), bytes.subarray(200_000)];
      const reference = await blobs.put(Readable.from(parts), LIMITS);
      expect(reference).toEqual({ hash: hashOf(bytes), bytes: bytes.length });
      expect(await blobs.put(Readable.from([bytes]), LIMITS)).toEqual(reference);
      expect((await blobs.read(reference.hash)).equals(bytes)).toBe(true);
      expect((await readFile(await blobs.localPath(reference.hash))).equals(bytes)).toBe(true);
      expect(await blobs.sweep(new Set(), Number.MAX_SAFE_INTEGER)).toBe(1);
    });

    it('keeps nothing and everything: no bytes, and many puts at once', async () => {
      const blobs = await make();
      expect(await blobs.put(Readable.from([]), LIMITS)).toEqual({ hash: hashOf(new Uint8Array()), bytes: 0 });
      const contents = Array.from({ length: 20 }, (_, count) => Buffer.from(`content ${count % 5}`));
      const references = await Promise.all(contents.map((content) => blobs.put(Readable.from([content]), LIMITS)));
      for (const [position, { hash }] of references.entries()) {
        expect((await blobs.read(hash)).toString()).toBe(`content ${position % 5}`);
      }
    });

    it('refuses content over the limit and leaves nothing of it behind', async () => {
      const blobs = await make();
      const exact = await blobs.put(Readable.from([Buffer.alloc(10)]), { maxBytes: 10 });
      expect(exact.bytes).toBe(10);
      const endless = Readable.from(
        (function* () {
          for (;;) yield Buffer.alloc(4);
        })(),
      );
      await expect(blobs.put(endless, { maxBytes: 10 })).rejects.toMatchObject({ code: 'payload_too_large' });
      expect(endless.destroyed).toBe(true);
      expect(await blobs.sweep(new Set([exact.hash]), Number.MAX_SAFE_INTEGER)).toBe(0);
    });

    it('leaves nothing behind when the stream breaks or the caller gives up', async () => {
      const blobs = await make();
      const broken = Readable.from(
        (async function* () {
          yield Buffer.alloc(4);
          throw new Error('connection reset');
        })(),
      );
      await expect(blobs.put(broken, LIMITS)).rejects.toThrow('connection reset');
      const silent = new Readable({ read() {} });
      const controller = new AbortController();
      const waiting = blobs.put(silent, { ...LIMITS, signal: controller.signal });
      silent.push(Buffer.alloc(4));
      controller.abort(new Error('gave up'));
      await expect(waiting).rejects.toThrow('gave up');
      expect(await blobs.sweep(new Set(), Number.MAX_SAFE_INTEGER)).toBe(0);
    });

    it('refuses hashes that are none, and says when a blob is gone', async () => {
      const blobs = await make();
      for (const hash of ['../../etc/passwd', '', 'A'.repeat(64), `${'a'.repeat(64)}/x`]) {
        await expect(blobs.localPath(hash)).rejects.toMatchObject({ code: 'internal_error' });
        await expect(blobs.read(hash)).rejects.toMatchObject({ code: 'internal_error' });
      }
      await expect(blobs.read('a'.repeat(64))).rejects.toMatchObject({ code: 'internal_error' });
      const { hash } = await blobs.put(Readable.from([Buffer.from('x')]), LIMITS);
      await expect(blobs.read(hash, AbortSignal.abort(new Error('left')))).rejects.toThrow('left');
    });

    it('sweeps what is unused and old, and nothing else', async () => {
      const blobs = await make();
      const [used, unused] = await Promise.all(
        ['used', 'unused'].map((text) => blobs.put(Readable.from([Buffer.from(text)]), LIMITS)),
      );
      const inUse = new Set([used?.hash ?? '']);
      expect(await blobs.sweep(inUse, Date.now() - 3_600_000)).toBe(0);
      expect(await blobs.sweep(inUse, Date.now() + 3_600_000)).toBe(1);
      expect((await blobs.read(used?.hash ?? '')).toString()).toBe('used');
      await expect(blobs.read(unused?.hash ?? '')).rejects.toMatchObject({ code: 'internal_error' });
    });
  });
}
