import { PassThrough } from 'node:stream';
import type { BlobReference, BlobStore } from '../../store/index.ts';
import { invalidBundle } from './bundle-records.ts';

/** Files of a bundle on their way into the blob store, one at a time. */
export interface FileImport {
  begin(file: { readonly hash: string; readonly bytes: number }): Promise<void>;
  /** @param data base64. */
  write(data: string): Promise<void>;
  /** Ends the file that is open, if one is; checks its bytes against its hash. */
  end(): Promise<void>;
  /** Whether the bundle has brought the file. */
  has(hash: string): boolean;
  /** Gives the open file up. */
  abandon(): void;
}

export function createFileImport(options: {
  readonly blobs: Pick<BlobStore, 'put'>;
  readonly maxBytes: number;
}): FileImport {
  let open: { readonly hash: string; readonly content: PassThrough; readonly stored: Promise<BlobReference> } | null =
    null;

  const brought = new Set<string>();

  async function end(): Promise<void> {
    if (open === null) return;
    const { hash, content, stored } = open;
    open = null;
    content.end();
    if ((await stored).hash !== hash) throw invalidBundle('a file is not what its hash says');
    brought.add(hash);
  }

  return {
    end,
    has: (hash) => brought.has(hash),
    async begin({ hash }) {
      await end();
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
    abandon() {
      open?.content.destroy();
      open = null;
    },
  };
}
