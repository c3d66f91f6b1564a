import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ChatMessage } from '../../llm/index.ts';
import { withCarriedWords } from './follow-up-query.ts';

const after = (...turns: readonly string[]): ChatMessage[] =>
  turns.flatMap((content): ChatMessage[] => [
    { role: 'user', content },
    { role: 'assistant', content: 'Some words about Zebra-9000.' },
  ]);

describe('withCarriedWords', () => {
  it.each([
    ['How much does it cost?', 'What is the Enterprise plan?', 'How much does it cost? Enterprise plan'],
    ['And for teams?', 'Is there a discount for schools?', 'And for teams? discount schools'],
    ['What about error-code_42?', 'How do I fix a failed import?', 'What about error-code_42? fix failed import'],
    ['Why?', 'My invoice shows VAT twice', 'Why? invoice VAT twice'],
    ['How long does that take?', 'Can I export my data?', 'How long does that take? export data'],
    ['What are their opening hours?', 'Where is the Berlin office?', 'What are their opening hours? Berlin office'],
  ])('%s after "%s"', (query, turn, expected) => {
    expect(withCarriedWords(query, after(turn))).toBe(expected);
  });

  it.each([
    'How do I reset my password?',
    'Can users change their password themselves?',
    'Is it possible to pay invoices by bank transfer?',
    'Which browsers support the widget that shows answers?',
    'Thanks!',
    'hello',
  ])('leaves alone: %s', (query) => {
    expect(withCarriedWords(query, after('What is the Enterprise plan?'))).toBe(query);
  });

  it('follows a chain of questions to what it is about', () => {
    const query = withCarriedWords('And yearly?', after('What does the Pro plan cost?', 'How is it billed?'));
    expect(query).toBe('And yearly? billed Pro plan cost');
  });

  it('takes nothing from a subject that was left behind, nor from answers', () => {
    const turns = after('Tell me about the Berlin office', 'How do I reset my password?');
    expect(withCarriedWords('How long does it take?', turns)).toBe('How long does it take? reset password');
  });

  it('carries few words of a long turn, names first, in their order', () => {
    const turn = `please look ${'and some padding words around everything here thoroughly '.repeat(3)} at WidgetX and API_KEY`;
    const carried = withCarriedWords('Why?', after(turn)).replace('Why? ', '').split(' ');
    expect(carried).toHaveLength(8);
    expect(carried.slice(-2)).toEqual(['WidgetX', 'API_KEY']);
  });

  it('reads the opening of long messages, and takes no time over what follows', () => {
    for (const run of [' ', 'that ', '?', 'a-', '{{']) {
      const long = `that${run.repeat(200_000 / run.length)}x`;
      const startedAt = performance.now();
      expect(withCarriedWords(long, after(long, long)).length).toBeLessThan(5000);
      expect(performance.now() - startedAt).toBeLessThan(500);
    }
    expect(withCarriedWords(`${'a'.repeat(1999)}😀`, [])).toBe('a'.repeat(1999));
  });

  it('changes nothing without earlier turns, and always begins with the question', () => {
    fc.assert(
      fc.property(fc.string(), fc.array(fc.string(), { maxLength: 4 }), (query, turns) => {
        expect(withCarriedWords(query, [])).toBe(query);
        expect(
          withCarriedWords(query, after(...turns))
            .trim()
            .startsWith(query.trim()),
        ).toBe(true);
      }),
    );
  });
});
