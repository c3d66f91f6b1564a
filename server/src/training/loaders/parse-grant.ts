import { open } from 'node:fs/promises';
import type { CallGrant } from '../../resilience/index.ts';
import type { ParserInput } from '../ports.ts';

/** What an input asks of a parser, in bytes of plain text that would ask for as much. */
export interface ParseDemand {
  readonly time: number;
  readonly memory: number;
}

/** Up to here an input is small. */
const SMALL_BYTES = 2 * 1024 ** 2;
const SMALL_TIMEOUT_MS = 8_000;
const SMALL_HEAP_MB = 192;
/** Each further megabyte is granted so much more time. */
const MS_PER_MEGABYTE = 4_000;
/** What is packed unfolds, and the trees of markup take several times the room of their text. */
const USUAL_RATIO = 10;
const ZIP_MAGIC = 'PK';
/** A parser sees one page of these at a time. */
const PDF_MAGIC = '%PDF';

/** What the file of an input asks for. One that cannot be opened asks for nothing: that is for the parser to tell. */
export async function demandOf({ path, bytes }: Pick<ParserInput, 'path' | 'bytes'>): Promise<ParseDemand> {
  if (bytes !== undefined && bytes * USUAL_RATIO <= SMALL_BYTES) return { time: bytes, memory: bytes };
  const file = await open(path).catch(() => null);
  if (file === null) return { time: 0, memory: 0 };
  try {
    const { size } = await file.stat();
    const { buffer } = await file.read({ buffer: Buffer.alloc(PDF_MAGIC.length), position: 0 });
    const magic = buffer.toString('latin1');
    return {
      time: magic.startsWith(ZIP_MAGIC) ? size * USUAL_RATIO : size,
      memory: magic === PDF_MAGIC ? size : size * USUAL_RATIO,
    };
  } finally {
    await file.close();
  }
}

/**
 * The time and the heap for one part of an input: a damaged file of a few kilobytes must not take what a large one needs.
 * `most` is what is ever granted.
 */
export function grantOf({ time, memory }: ParseDemand, most: Required<CallGrant>): Required<CallGrant> {
  const spare = Math.max(0, time - SMALL_BYTES) / 1024 ** 2;
  return {
    timeoutMs: Math.min(most.timeoutMs, SMALL_TIMEOUT_MS + spare * MS_PER_MEGABYTE),
    heapMb: memory <= SMALL_BYTES ? Math.min(most.heapMb, SMALL_HEAP_MB) : most.heapMb,
  };
}
