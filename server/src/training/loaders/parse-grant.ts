import { open } from 'node:fs/promises';
import type { CallGrant } from '../../resilience/index.ts';

/** Up to here an input is small. */
const SMALL_BYTES = 4 * 1024 ** 2;
const SMALL_TIMEOUT_MS = 8_000;
const SMALL_HEAP_MB = 192;
/** Each further megabyte is granted so much more time. */
const MS_PER_MEGABYTE = 1_000;
/** What is packed unfolds, and the trees of markup take several times the room of their text. */
const USUAL_RATIO = 10;
/** Files of which a parser sees one page at a time are as large as they are. */
const PAGED = '%PDF';

/** How large an input is for a parser, in bytes: its file, or what that may become. */
export async function demandOf(path: string): Promise<number> {
  // What cannot be opened is for the parser to tell.
  const file = await open(path).catch(() => null);
  if (file === null) return 0;
  try {
    const { size } = await file.stat();
    // Small whatever it is, or large whatever it is.
    if (size * USUAL_RATIO <= SMALL_BYTES || size > SMALL_BYTES) return size;
    const { buffer } = await file.read({ buffer: Buffer.alloc(PAGED.length), position: 0 });
    return buffer.toString('latin1') === PAGED ? size : size * USUAL_RATIO;
  } finally {
    await file.close();
  }
}

/**
 * The time and the heap for one part of an input of so many bytes: a damaged file of a few kilobytes must not take what a large
 * one needs. `most` is what is ever granted.
 */
export function grantOf(demand: number, most: Required<CallGrant>): Required<CallGrant> {
  const spare = Math.max(0, demand - SMALL_BYTES) / 1024 ** 2;
  return {
    timeoutMs: Math.min(most.timeoutMs, SMALL_TIMEOUT_MS + spare * MS_PER_MEGABYTE),
    heapMb: demand <= SMALL_BYTES ? Math.min(most.heapMb, SMALL_HEAP_MB) : most.heapMb,
  };
}
