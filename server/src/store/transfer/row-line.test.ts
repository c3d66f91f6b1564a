import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRowDigests } from './row-digests.ts';
import { fromRowLine, toRowLine } from './row-line.ts';
import type { TransferRow, TransferTable } from './transfer-tables.ts';

const value = fc.oneof(
  fc.constant(null),
  fc.string({ unit: 'binary' }),
  fc.double(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.uint8Array({ maxLength: 300 }),
);
const row = fc.array(value, { minLength: 3, maxLength: 3 });
const table: TransferTable = { name: 'sources', key: ['id'], columns: ['bot_id', 'id', 'title'] };

/** Whole numbers that fit are read as numbers, whichever kind they were. */
const expected = (given: TransferRow) =>
  given.map((one) => (typeof one === 'bigint' && Number.isSafeInteger(Number(one)) ? Number(one) : one));

describe('rows as lines', () => {
  it('come back as they were: any text, bytes and number', () => {
    fc.assert(
      fc.property(row, (given) => {
        const line = toRowLine(given);
        expect(line).not.toContain('\n');
        expect(fromRowLine(JSON.parse(line))).toEqual(expected(given));
      }),
      { numRuns: 500 },
    );
  });

  it('are spelled the same by engines that give whole numbers as different kinds', () => {
    expect(toRowLine([7n, 2n ** 60n])).toBe(toRowLine([7, 2n ** 60n]));
    expect(toRowLine([2n ** 60n + 1n])).not.toBe(toRowLine([2n ** 60n]));
  });

  it.each([['text'], [{}], [[{ b: 1 }]], [[{ i: '1.5' }]], [[{ x: 'y' }]], [[true]]])('refuses %j', (line) => {
    expect(() => fromRowLine(line)).toThrow(expect.objectContaining({ code: 'backup_invalid' }));
  });
});

describe('checksums of rows', () => {
  const digestOf = (rows: readonly TransferRow[]) => {
    const digests = createRowDigests();
    for (const one of rows) digests.add(table, one);
    return digests;
  };

  it('do not depend on the order of rows, and tell any change', () => {
    fc.assert(
      fc.property(fc.array(row, { minLength: 2, maxLength: 8 }), fc.nat(), (rows, seed) => {
        const turned = rows.map((_, place) => rows[(place + seed) % rows.length] ?? []);
        expect(digestOf(turned).tables()).toEqual(digestOf(rows).tables());
        const changed = rows.map((one, place) => (place === seed % rows.length ? ['other', ...one.slice(1)] : one));
        if (toRowLine(changed.flat()) === toRowLine(rows.flat())) return;
        expect(digestOf(changed).tables()).not.toEqual(digestOf(rows).tables());
      }),
    );
  });

  it('are kept for each bot', () => {
    const one = digestOf([
      ['bot_1', 'src_1', 'a'],
      ['bot_2', 'src_2', 'b'],
    ]);
    const other = digestOf([
      ['bot_1', 'src_1', 'a'],
      ['bot_2', 'src_2', 'changed'],
    ]);
    expect(one.bots().get('bot_1')).toEqual(other.bots().get('bot_1'));
    expect(one.bots().get('bot_2')).not.toEqual(other.bots().get('bot_2'));
  });
});
