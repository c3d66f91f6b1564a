import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { invalidBundle } from './bundle-records.ts';

const LONGEST_LINE = 128 * 1024 ** 2;
/** Text of vectors and documents shrinks to a third or so; what shrinks this much is made to harm. */
const LARGEST_RATIO = 300;
const RATIO_GRACE_BYTES = 64 * 1024 ** 2;

/**
 * The lines of a text in UTF-8, gzipped or not, with bounded memory.
 *
 * @throws AppError `bundle_invalid` for broken gzip data, endless lines and a ratio beyond that of real content.
 */
export async function* readLines(content: Readable): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8');
  let pieces: string[] = [];
  let length = 0;
  for await (const bytes of unpacked(content)) {
    const parts = decoder.decode(bytes, { stream: true }).split('\n');
    for (const [position, part] of parts.entries()) {
      if (position > 0) {
        yield pieces.join('');
        pieces = [];
        length = 0;
      }
      pieces.push(part);
      length += part.length;
      if (length > LONGEST_LINE) throw invalidBundle('a line is too long');
    }
  }
  const last = pieces.join('') + decoder.decode();
  if (last !== '') yield last;
}

async function* unpacked(content: Readable): AsyncGenerator<Buffer> {
  let received = 0;
  let given = 0;
  const source = content[Symbol.asyncIterator]();
  const first = await source.next();
  if (first.done === true) return;
  const head = Buffer.from(first.value as Uint8Array);
  async function* counted(): AsyncGenerator<Buffer> {
    received += head.length;
    yield head;
    for (;;) {
      const next = await source.next();
      if (next.done === true) return;
      received += (next.value as Buffer).length;
      yield next.value as Buffer;
    }
  }
  if (head[0] !== 0x1f || head[1] !== 0x8b) {
    yield* counted();
    return;
  }
  const gunzip = createGunzip();
  Readable.from(counted(), { objectMode: false })
    .on('error', (error) => gunzip.destroy(error))
    .pipe(gunzip);
  try {
    for await (const bytes of gunzip) {
      given += (bytes as Buffer).length;
      if (given > RATIO_GRACE_BYTES && given > received * LARGEST_RATIO)
        throw invalidBundle('it unpacks beyond all measure');
      yield bytes as Buffer;
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && String(error.code).startsWith('Z_')) {
      throw invalidBundle('its compressed data is broken or cut off', error);
    }
    throw error;
  }
}
