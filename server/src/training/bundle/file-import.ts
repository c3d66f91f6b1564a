import { PassThrough } from 'node:stream';
import type { BlobReference, BlobStore } from '../../store/index.ts';
import { invalidBundle } from './bundle-records.ts';

/** Files of a bundle on their way into the blob store, one after the other; some are still synced to disk behind the next. */
export interface FileImport {
  begin(file: { readonly hash: string; readonly bytes: number }): Promise<void>;
  /** @param data base64. */
  write(data: string): Promise<void>;
  /** Ends the file that is open, if one is, and waits until all are stored; checks their bytes against their hashes. */
  settle(): Promise<void>;
  /** Whether the bundle has brought the file. To be asked when all are settled. */
  has(hash: string): boolean;
  /** Gives the open file up. */
  abandon(): void;
}

/** Files that are stored at once. */
const MOST_UNDER_WAY = 8;

export function createFileImport(options: {
  readonly blobs: Pick<BlobStore, 'put'>;
  readonly maxBytes: number;
}): FileImport {
  let open: { readonly hash: string; readonly content: PassThrough; readonly stored: Promise<BlobReference> } | null =
    null;
  const underWay = new Set<Promise<void>>();
  const brought = new Set<string>();

  function end(): void {
    if (open === null) return;
    const { hash, content, stored } = open;
    open = null;
    content.end();
    const checked = stored.then((reference) => {
      if (reference.hash !== hash) throw invalidBundle('a file is not what its hash says');
      brought.add(hash);
      underWay.delete(checked);
    });
    // Whoever waits for it meets the failure.
    checked.catch(() => {});
    underWay.add(checked);
  }

  return {
    has: (hash) => brought.has(hash),
    async begin({ hash }) {
      end();
      if (underWay.size >= MOST_UNDER_WAY) await Promise.race(underWay);
      const content = new PassThrough();
      const stored = options.blobs.put(content, { maxBytes: options.maxBytes });
      // Whoever ends the file meets the failure.
      stored.catch(() => {});
      open = { hash, content, stored };
    },
    async write(data) {
      if (open === null) throw invalidBundle('bytes stand outside of a file');
      const { content, stored } = open;
      if (content.write(Buffer.from(data, 'base64'))) return;
      const drained = new Promise<void>((resolve) => content.once('drain', resolve));
      await Promise.race([drained, stored]);
    },
    async settle() {
      end();
      await Promise.all(underWay);
    },
    abandon() {
      open?.content.destroy();
      open = null;
    },
  };
}
