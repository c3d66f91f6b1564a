import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMarkerFilter } from './marker-filter.ts';

function filtered(deltas: readonly string[], passageCount: number | null): string {
  const filter = createMarkerFilter(passageCount);
  return deltas.map((delta) => filter.push(delta)).join('') + filter.flush();
}

describe('marker filter', () => {
  it.each([
    ['Ten days [1].', 'Ten days [1].'],
    ['Ten days [1, 3].', 'Ten days [1][3].'],
    ['Ten days [1][2]', 'Ten days [1][2]'],
    ['Ten days [9].', 'Ten days.'],
    ['Ten days [1,9] and [0].', 'Ten days [1] and.'],
    ['See [the page](https://example.org) [2]', 'See [the page](https://example.org) [2]'],
    ['Use `list[9]` or\n```\nrow[7]\n```\nthen [7]', 'Use `list[9]` or\n```\nrow[7]\n```\nthen'],
    ['An open [', 'An open ['],
    ['Cut off [1', 'Cut off'],
    ['Nested [[4]7]', 'Nested [–7]'],
  ])('turns %j into %j', (text, expected) => {
    expect(filtered([text], 3)).toBe(expected);
  });

  it('lets everything through where nothing is numbered', () => {
    expect(filtered(['See [', '9].'], null)).toBe('See [9].');
  });

  it('passes on text that cannot become a marker at once', () => {
    const filter = createMarkerFilter(3);
    expect(filter.push('Ten days')).toBe('Ten days');
    expect(filter.push(' [')).toBe('');
    expect(filter.push('2')).toBe('');
    expect(filter.push(']')).toBe(' [2]');
  });

  it('never lets a number through that does not exist, and cuts between deltas change nothing', () => {
    const text = fc
      .array(fc.constantFrom('[', ']', '1', '2', '7', ',', ' ', '\n', '`', '```', 'word', '.', '[4]', '[1, 9]'), {
        maxLength: 30,
      })
      .map((pieces) => pieces.join(''));
    fc.assert(
      fc.property(text, fc.array(fc.nat(60), { maxLength: 12 }), (whole, cuts) => {
        const places = [0, ...cuts.filter((cut) => cut < whole.length).sort((a, b) => a - b), whole.length];
        const deltas = places.slice(1).map((end, position) => whole.slice(places[position], end));
        const once = filtered([whole], 3);
        expect(filtered(deltas, 3)).toBe(once);
        if (!whole.includes('`')) {
          for (const [, number] of once.matchAll(/\[(\d+)\]/gu)) expect([1, 2, 3]).toContain(Number(number));
        }
      }),
      { numRuns: 2000 },
    );
  });
});
