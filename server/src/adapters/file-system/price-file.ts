import { readFile, stat } from 'node:fs/promises';
import type { PriceFile } from '../../llm/index.ts';

/** More than this is no price table. */
const MAX_BYTES = 10 * 1024 ** 2;

/** A price table in a file. A look costs one `stat`; the file is read when its time or size has changed. */
export function createPriceFile(path: string): PriceFile {
  let seen = '';
  return {
    path,
    async readIfChanged() {
      const { mtimeMs, size, ino } = await stat(path);
      const version = `${mtimeMs}:${size}:${ino}`;
      if (version === seen) return null;
      seen = version;
      if (size > MAX_BYTES) throw new Error(`it has more than ${MAX_BYTES} bytes`);
      return readFile(path, 'utf8');
    },
  };
}
