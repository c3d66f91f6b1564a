import { pipeline, type Readable, type Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { AppError } from '../../kernel/index.ts';

export const ACCEPTED_ENCODINGS = 'gzip, deflate, br';

export interface BodyLimits {
  readonly maxBytes: number;
  /** Called once, when the body has ended, failed or was left. */
  onEnd(): void;
  /** Makes one of the house's errors of what went wrong. */
  explain(error: unknown): unknown;
}

/**
 * The bytes of a body, unpacked as they come: more than `maxBytes` of them, packed or unpacked, end in
 * `response_too_large`, so that a small bomb costs no more than a large page.
 */
export async function* readBody(
  body: Readable,
  encoding: string | undefined,
  limits: BodyLimits,
): AsyncGenerator<Buffer> {
  let bytes = 0;
  try {
    for await (const part of unpacked(body, encoding)) {
      bytes += part.length;
      if (bytes > limits.maxBytes) throw tooLarge(limits.maxBytes);
      yield part;
    }
  } catch (error) {
    throw limits.explain(error);
  } finally {
    discard(body);
    limits.onEnd();
  }
}

export function tooLarge(maxBytes: number): AppError {
  return new AppError('response_too_large', `The page is larger than ${maxBytes} bytes and is left out.`);
}

/** Ends a body that nobody reads, and its connection. */
export function discard(body: Readable): void {
  body.on('error', () => {});
  body.destroy();
}

function unpacked(body: Readable, encoding: string | undefined): AsyncIterable<Buffer> {
  const steps = (encoding ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && name !== 'identity');
  if (steps.length === 0) return body;
  const unpack = steps.length === 1 ? decoderOf(steps[0]) : null;
  if (unpack === null) {
    throw new AppError('fetch_failed', `The page is packed in a way that was not asked for (${encoding}).`);
  }
  // Errors of either end reach whoever reads the other.
  return pipeline(body, unpack, () => {});
}

function decoderOf(encoding: string | undefined): Transform | null {
  switch (encoding) {
    case 'gzip':
    case 'x-gzip':
      return createGunzip();
    case 'deflate':
      return createInflate();
    case 'br':
      return createBrotliDecompress();
    default:
      return null;
  }
}
