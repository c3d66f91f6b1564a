import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createInt8Kernel } from './int8-kernel.ts';

const STRIDE = 32;
const row = fc.array(fc.integer({ min: -127, max: 127 }), { minLength: STRIDE, maxLength: STRIDE });
const question = fc.array(fc.integer({ min: -2047, max: 2047 }), { minLength: STRIDE, maxLength: STRIDE });

it('gives the exact dot product of every row', () => {
  const kernel = createInt8Kernel();
  fc.assert(
    fc.property(fc.array(row, { maxLength: 20 }), question, (rows, query) => {
      kernel.setQuery(Int16Array.from(query));
      const products = [...kernel.dots(Int8Array.from(rows.flat()), STRIDE)];
      expect(products).toEqual(
        rows.map((codes) => codes.reduce((sum, code, index) => sum + code * (query[index] ?? 0), 0)),
      );
    }),
  );
});

it('holds blocks as large as it says, at any width', () => {
  const kernel = createInt8Kernel();
  for (const stride of [16, 256, 3072, 1_048_576]) {
    kernel.setQuery(new Int16Array(stride).fill(1));
    const products = kernel.dots(new Int8Array(kernel.blockRows(stride) * stride).fill(1), stride);
    expect(products.length).toBe(kernel.blockRows(stride));
    expect(products.every((product) => product === stride)).toBe(true);
  }
});
