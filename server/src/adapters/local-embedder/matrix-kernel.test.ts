import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMatrixKernel } from './matrix-kernel.ts';
import { quantiseMatrix, quantiseRow } from './quantise.ts';

interface Sizes {
  readonly rows: number;
  readonly depth: number;
  readonly columns: number;
}

/** Numbers of normal spread from a seed, with a few that stand out. */
function numbersFrom(seed: number, length: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, (_, index) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state / 2 ** 31 - 1) * (index % 97 === 0 ? 20 : 1);
  });
}

function multiplied(
  left: Float32Array,
  right: Float32Array,
  { bias, ...sizes }: Sizes & { readonly bias: Float32Array },
) {
  const { rows, depth, columns } = sizes;
  const kernel = createMatrixKernel(2 * 1024 ** 2);
  const tall = Math.ceil(rows / 4) * 4;
  const one = { codes: kernel.shorts(tall * depth), factors: kernel.floats(tall) };
  const other = {
    codes: kernel.shorts(depth * columns),
    factors: kernel.floats(columns),
    bias: kernel.floats(columns),
  };
  const out = kernel.floats(tall * columns);
  for (let row = 0; row < rows; row += 1) {
    one.factors[row] = quantiseRow({ values: left, start: row * depth, length: depth }, one.codes, row * depth);
  }
  other.bias.set(bias);
  quantiseMatrix(right, other, { depth, columns });
  kernel.multiply({ left: one, right: other }, out, { ...sizes, outStride: columns });
  return out.slice(0, rows * columns);
}

describe('matrix kernel', () => {
  it('multiplies as 64-bit floats do, to four digits of the lengths', () => {
    const tiles = fc.integer({ min: 1, max: 12 }).map((count) => count * 8);
    const sizes = fc.record({ rows: fc.integer({ min: 1, max: 20 }), depth: tiles, columns: tiles });
    fc.assert(
      fc.property(sizes, fc.nat(), ({ rows, depth, columns }, seed) => {
        const left = numbersFrom(seed, rows * depth);
        const right = numbersFrom(seed + 1, depth * columns);
        const bias = numbersFrom(seed + 2, columns);
        const out = multiplied(left, right, { bias, rows, depth, columns });
        for (let row = 0; row < rows; row += 1) {
          for (let column = 0; column < columns; column += 1) {
            let sum = bias[column] ?? 0;
            let leftSquares = 0;
            let rightSquares = 0;
            for (let k = 0; k < depth; k += 1) {
              const [a, b] = [left[row * depth + k] ?? 0, right[k * columns + column] ?? 0];
              sum += a * b;
              leftSquares += a * a;
              rightSquares += b * b;
            }
            const tolerance = 5e-4 * Math.sqrt(leftSquares * rightSquares) + 1e-5;
            expect(Math.abs((out[row * columns + column] ?? 0) - sum)).toBeLessThan(tolerance);
          }
        }
      }),
      { numRuns: 30 },
    );
  });

  it('stays within 32 bits whatever the numbers', () => {
    const depth = 1_536;
    const alike = new Float32Array(depth * 8).fill(3e4);
    const bias = new Float32Array(8);
    const even = multiplied(alike.subarray(0, depth), alike, { bias, rows: 1, depth, columns: 8 });
    for (const product of even) expect(product / (depth * 9e8)).toBeCloseTo(1, 3);
    const single = new Float32Array(depth * 8);
    single[0] = -1e-3;
    const one = multiplied(single.subarray(0, depth), single, { bias, rows: 1, depth, columns: 8 });
    expect((one[0] ?? 0) / 1e-6).toBeCloseTo(1, 3);
    const zero = multiplied(new Float32Array(depth), alike, { bias, rows: 1, depth, columns: 8 });
    expect([...zero]).toEqual([...bias]);
  });
});
