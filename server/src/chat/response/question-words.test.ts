import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { meaningfulWords } from './question-words.ts';

/** Ask the same in other words. */
const SAME: readonly (readonly [string, string])[] = [
  ['How do I reset my password?', 'How can I reset my password?'],
  ['How do I reset my password?', 'how to reset password'],
  ['How do I reset my password?', 'I need to reset my password, how do I do that?'],
  ['How do I reset my password?', 'Please tell me how to reset the password.'],
  ['How do I reset my password?', 'How do I change my password?'],
  ['How do I reset my password?', 'What are the steps to reset my password?'],
  ['What is the refund policy?', "What's your refund policy?"],
  ['What is the refund policy?', 'Can you explain the refund policy?'],
  ['What is the refund policy?', 'What is the policy on refunds?'],
  ['When is the invoice due?', 'By when is the invoice due?'],
  ['When is the invoice due?', 'When is an invoice due'],
  ['Where can I download the mobile app?', 'Where do I download the mobile app?'],
  ['Where can I download the mobile app?', 'Where can the mobile app be downloaded?'],
  ['How many vacation days do I get per year?', 'How many vacation days do I get a year?'],
  ['How many vacation days do I get per year?', 'How many days of vacation do I get per year?'],
  ['How do I install the command line tool on Linux?', 'How can the command line tool be installed on Linux?'],
  ['How do I contact support?', 'How can I get in touch with support?'],
  ['How do I contact support?', 'how do i contact the support'],
  ['Who approves travel expenses?', 'Who approves the travel expenses'],
  ['Does the warranty cover water damage?', 'Is water damage covered by the warranty?'],
  ['Does the warranty cover water damage?', 'does the warranty cover damage by water?'],
  ['How long does shipping take?', 'How long does the shipping take?'],
  ['How long does shipping take?', 'How long will shipping take?'],
  ['How do I export my data to CSV?', 'How can I export my data to CSV?'],
  ['What time does the cafeteria open?', 'When does the cafeteria open?'],
  ['Do you offer student discounts?', 'Is there a student discount?'],
];

const OPENING_TIME = 'What is the opening time of the otter house?';

const SAME_OPENING_TIME: readonly string[] = [
  'Can you tell me the opening time of the otter house please?',
  'Could you please tell me what the opening time of the otter house is?',
  'what are the opening times of the otter house',
  'OPENING TIME OF THE OTTER HOUSE',
  "I'd like to know the opening times of the otter house.",
  'Hello, please tell me what the opening times of the otter house are. Thanks!',
];

const OTHER_THAN_OPENING_TIME: readonly string[] = [
  'What is the closing time of the otter house?',
  'Can you tell me the closing time of the otter house please?',
  'CLOSING TIME OF THE OTTER HOUSE',
  'What is the opening time of the beaver house?',
  'Could you please tell me what the opening time of the beaver house is?',
  'What is not the opening time of the otter house?',
  "What isn't the opening time of the otter house?",
  'Do not tell me the opening time of the otter house.',
  'No opening time of the otter house',
  'What was the opening time of the otter house?',
  'What is the opening time of the otter house 2?',
  'What is the opening time of the 2 otter houses?',
  'What is the opening time of the otter house on Sunday?',
  'What is the opening time of my otter house?',
  'What is the opening time of the house otter?',
  'Who knows the opening time of the otter house?',
  'Why is the opening time of the otter house?',
  'Is the opening time of the otter house?',
  'Change the opening time of the otter house.',
  'Tell the manager the opening time of the otter house.',
];

/** Look alike and do not ask the same. */
const DIFFERENT: readonly (readonly [string, string])[] = [
  ['How do I enable two-factor authentication?', 'How do I disable two-factor authentication?'],
  ['Can I get a refund after 14 days?', 'Can I get a refund after 30 days?'],
  ['Can I get a refund after 14 days?', "Can't I get a refund after 14 days?"],
  ['What does the Pro plan cost?', 'What does the Basic plan cost?'],
  ['what does the pro plan cost', 'what does the basic plan cost'],
  ['What is the price of the annual plan?', 'What is the price of the monthly plan?'],
  ['How do I cancel my subscription?', 'How do I renew my subscription?'],
  ['How do I cancel my subscription?', 'How do I not cancel my subscription?'],
  ['Who is the manager of Alice?', 'Who is the manager of Bob?'],
  ['who is the manager of alice', 'who is the manager of bob'],
  ['When does the contract start?', 'When does the contract end?'],
  ['When does the store open?', 'When does the store close?'],
  ['When does the store open?', 'Where does the store open?'],
  ['How do I import contacts?', 'How do I export contacts?'],
  ['What is the minimum order quantity?', 'What is the maximum order quantity?'],
  ['Is smoking allowed on the balcony?', 'Is smoking forbidden on the balcony?'],
  ['Which items are covered by the warranty?', 'Which items are not covered by the warranty?'],
  ['How do I fly from Paris to London?', 'How do I fly from London to Paris?'],
  ['Is version 2.1 supported?', 'Is version 2.2 supported?'],
  ['How do I upgrade to version 3?', 'How do I downgrade to version 3?'],
  ['How many sick days do I get?', 'How many vacation days do I get?'],
  ['How much does shipping to Germany cost?', 'How much does shipping to France cost?'],
  ['How long does shipping to Germany take?', 'How much does shipping to Germany cost?'],
  ['Can I bring my dog?', 'Must I bring my dog?'],
  ['Can I bring my dog?', 'Can I bring my cat?'],
  ['Do I have to pay before delivery?', 'Do I have to pay after delivery?'],
  ['What is my address?', 'What is your address?'],
  ['What happened in 2019?', 'What happened in 2020?'],
  ['How do I turn on notifications?', 'How do I turn off notifications?'],
  ['Which is faster, TCP than UDP?', 'Which is slower, TCP than UDP?'],
  ['Is A greater than B?', 'Is B greater than A?'],
  ['What did the company announce?', 'What will the company announce?'],
  ['Who may open the safe?', 'Who may not open the safe?'],
  ['Which plans include SSO?', 'Which plans include API access?'],
  ['How do I delete one document?', 'How do I delete all documents?'],
  ['Wie kündige ich mein Abo?', 'Wie kündige ich mein Abo nicht?'],
  ['Où se trouve le bureau de Lyon ?', 'Où se trouve le bureau de Nice ?'],
  ['What is the capital of the first region?', 'What is the capital of the second region?'],
];

/** The same words, whose order or link says who has what. */
const OTHER_ORDER: readonly (readonly [string, string])[] = [
  ['What is the credit card of the company?', 'What is the company of the credit card?'],
  ['Is there an annual report on sales?', 'Are there sales on annual report?'],
  ['Who is the head of sales in Paris?', 'Who is the sales of head in Paris?'],
  ['Which books by Tolkien do you have?', 'Which books on Tolkien do you have?'],
  ['Which books by Tolkien do you have?', 'Which books for Tolkien do you have?'],
  ['Is the payment by suppliers late?', 'Is the payment for suppliers late?'],
  ['Do you sell cups of tea?', 'Do you sell tea cups?'],
  ['What is the service plan of the customer?', 'What is the service customer plan?'],
];

const isSame = ([one, other]: readonly [string, string]): boolean => meaningfulWords(one) === meaningfulWords(other);

describe('the words that carry the meaning of a question', () => {
  it.each([...DIFFERENT, ...OTHER_ORDER])('tell apart: %s - %s', (one, other) => {
    expect(meaningfulWords(one)).not.toBe(meaningfulWords(other));
  });

  it('are the same for most ways to ask the same', () => {
    const missed = SAME.filter((pair) => !isSame(pair));
    expect(missed.length, JSON.stringify(missed, null, 1)).toBeLessThanOrEqual(8);
  });

  it.each(SAME_OPENING_TIME)('are those of the plain question: %s', (other) => {
    expect(meaningfulWords(other)).toBe(meaningfulWords(OPENING_TIME));
  });

  it.each(OTHER_THAN_OPENING_TIME)('are not those of the plain question: %s', (other) => {
    for (const one of [OPENING_TIME, ...SAME_OPENING_TIME]) {
      expect(meaningfulWords(other)).not.toBe(meaningfulWords(one));
    }
  });

  it('change with every number, name and negation', () => {
    const word = fc.constantFrom(
      'Alice',
      'Bob',
      'pro',
      'basic',
      '14',
      '30',
      '2.1',
      '2.2',
      'C',
      'C++',
      'not',
      'never',
      'no',
    );
    fc.assert(
      fc.property(fc.tuple(word, word), fc.constantFrom(...SAME.flat()), fc.nat(8), ([one, other], question, place) => {
        const words = question.split(' ');
        const at = Math.min(place, words.length - 1);
        const put = (extra: string): string => [...words.slice(0, at), extra, ...words.slice(at)].join(' ');
        expect(meaningfulWords(put(one)) === meaningfulWords(put(other))).toBe(one === other);
        expect(meaningfulWords(put(one))).not.toBe(meaningfulWords(question));
      }),
      { numRuns: 1000 },
    );
  });

  it('change with the order of words, whatever links them', () => {
    const words = ['price', 'day', 'policy', 'discount', 'damage', 'otter', 'house', 'sales'] as const;
    const link = fc.constantFrom(' ', ' of ', ' of the ', ' on ', ' for ', ' by ', ' in ');
    const opening = fc.constantFrom('What is the ', 'How many ', 'Is there a ', 'Tell me the ', '');
    const order = fc.shuffledSubarray([...words], { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(order, fc.tuple(link, link, opening), fc.nat(4), ([a, b, c], [one, other, begin], turn) => {
        const orders = [
          [a, c, b],
          [b, a, c],
          [b, c, a],
          [c, a, b],
          [c, b, a],
        ];
        const [first, second, third] = orders[turn] ?? [];
        const asked = meaningfulWords(`${begin}${a}${one}${b}${other}${c}?`);
        expect(meaningfulWords(`${begin}${first}${one}${second}${other}${third}?`)).not.toBe(asked);
        expect(meaningfulWords(`${begin}${first}${other}${second}${one}${third}?`)).not.toBe(asked);
      }),
      { numRuns: 2000 },
    );
  });

  it('are never none, whatever is asked', () => {
    for (const question of ['Please', 'hi', 'the', 'thanks', 'Hello please thanks']) {
      expect(meaningfulWords(question)).not.toBe('x');
    }
    expect(meaningfulWords('Hello?')).toBe('hello');
    expect(meaningfulWords('名前は何ですか')).not.toBe(meaningfulWords('名前は何ですか C'));
  });
});
