import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { slugOf } from './bot-slug.ts';
import { newBot } from './contract/index.ts';

describe('the slug of a name', () => {
  it.each([
    ['Support Bot', 'support-bot'],
    ['  Crème brûlée!! ', 'creme-brulee'],
    ['日本語', 'bot'],
    ['../../etc/passwd', 'etc-passwd'],
  ])('%s becomes %s', (name, slug) => {
    expect(slugOf(name)).toBe(slug);
  });

  it('is always one that the contract takes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (name) => {
        expect(newBot.safeParse({ name: 'x', slug: slugOf(name) }).success).toBe(true);
      }),
    );
  });
});
