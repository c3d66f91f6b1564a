import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRest, createSeam } from './seam.ts';

const nothing = () => false;

/** What comes of a text that is said in pieces. */
function pass(seam: ReturnType<typeof createSeam>, pieces: readonly string[]): string {
  return pieces.map((piece) => seam.push(piece)).join('') + seam.flush();
}

const behind = (told: string, said: string, knows: (word: string) => boolean = nothing): string =>
  pass(createSeam(told, knows), [said]);

const word = fc.stringMatching(/^[a-z]{1,9}$/);
const prose = fc.array(word, { minLength: 1, maxLength: 40 }).map((words) => words.join(' '));

/** The text, cut anywhere. */
const cut = (text: string) =>
  fc
    .array(fc.nat(text.length), { maxLength: 8 })
    .map((places) => [0, ...places.toSorted((one, other) => one - other), text.length])
    .map((places) => places.slice(1).map((end, place) => text.slice(places[place], end)));

describe('a seam', () => {
  it('takes away what is repeated', () => {
    expect(behind('Sick leave accrues at four', ' hours.')).toBe(' hours.');
    expect(behind('Sick leave accrues at four', 'Sick leave accrues at four hours.')).toBe(' hours.');
    expect(behind('Sick leave accrues at four', 'leave accrues at four hours.')).toBe(' hours.');
    expect(behind('It is part of paren', 'parental leave.')).toBe('tal leave.');
  });

  it('puts the space between words that was left out, and none within a word', () => {
    const knows = (known: string) => ['parental', 'the'].includes(known);
    expect(behind('It lasts for the', 'first week.', knows)).toBe(' first week.');
    expect(behind('It lasts for the', 'theory holds.', knows)).toBe(' theory holds.');
    expect(behind('It is part of paren', 'tal leave.', knows)).toBe('tal leave.');
    expect(behind('It is over.', 'Then it begins.')).toBe(' Then it begins.');
    expect(behind('It is held [1]', '. Then')).toBe('. Then');
    expect(behind('It costs 2', '50 euros.')).toBe('50 euros.');
    expect(behind('See https://host/the', 'page')).toBe('page');
    expect(behind('これは', '休暇です')).toBe('休暇です');
    expect(behind('It is so. ', ' And on.')).toBe('And on.');
  });

  it('leaves what repeats itself anyway', () => {
    const rule = '| --- | --- | --- |';
    expect(behind(`| a | b | c |\n${rule}`, `${rule}\n`)).toBe(`${rule}\n`);
    const digits = '1, 1, 1, 1, 1, 1, 1, 1';
    expect(behind(`So: ${digits}`, `, ${digits}.`)).toBe(`, ${digits}.`);
    expect(behind('so it goes', 'goes on')).toBe(' goes on');
  });

  it('joins a last word that was cut off and is written once more in full, cut anywhere', () => {
    expect(behind('The zoo opens at ni', 'nine in the morning.')).toBe('ne in the morning.');
    expect(behind('The zoo opens at n', ' nine in the morning.')).toBe('ine in the morning.');
    const everything = () => true;
    expect(behind('It costs 1', '12 euros.', everything)).toBe('2 euros.');
    expect(behind('It costs 12', '12 euros.', everything)).toBe(' euros.');
    const broken = fc
      .tuple(prose, fc.stringMatching(/^[a-z]{2,9}$/), prose, fc.nat(100))
      .map(([before, last, after, place]) => {
        const length = 1 + (place % (last.length - 1));
        return { told: `${before.toUpperCase()} ${last.slice(0, length)}`, said: `${last} ${after}`, length };
      })
      .chain((made) => fc.tuple(fc.constant(made), cut(made.said)));
    fc.assert(
      fc.property(broken, ([{ told, said, length }, pieces]) => {
        expect(pass(createSeam(told, nothing), pieces)).toBe(said.slice(length));
      }),
    );
  });

  it('takes no answer that begins anew in other words', () => {
    const told = 'Sick leave accrues at four hours for each pay period, and there is no maximum of';
    const said = 'Sick leave accrues at four hours for each pay period. There is none.';
    expect(() => behind(told, said)).toThrow(expect.objectContaining({ code: 'stream_interrupted' }));
  });

  it('gives the rest of what repeats the told text, or a real end of it, cut anywhere', () => {
    const repeated = fc
      .tuple(prose, prose, fc.nat(100))
      .chain(([told, more, from]) => {
        const rest = ` ${more}`;
        const start = told.length >= 40 ? from % (told.length - 39) : 0;
        const said = told.slice(start) + rest;
        return fc.tuple(fc.constant({ told, rest, said }), cut(said));
      })
      .filter(([{ told, said }]) => {
        const letters = new Set(said.slice(0, 40).match(/[a-z]/g)).size;
        return letters >= 8 || said.startsWith(told);
      });
    fc.assert(
      fc.property(repeated, ([{ told, rest }, pieces]) => {
        // A longer overlap than the one that was made is as real.
        expect((told + pass(createSeam(told, nothing), pieces)).endsWith(rest.trimStart())).toBe(true);
        expect(rest.endsWith(pass(createSeam(told, nothing), pieces))).toBe(true);
      }),
    );
  });

  it('keeps every character of what repeats nothing, cut anywhere', () => {
    const capitals = prose.map((text) => text.toUpperCase());
    const foreign = fc.tuple(prose, capitals).chain(([told, said]) => fc.tuple(fc.constant({ told, said }), cut(said)));
    fc.assert(
      fc.property(foreign, ([{ told, said }, pieces]) => {
        expect(pass(createSeam(told, nothing), pieces)).toBe(` ${said}`);
      }),
    );
  });

  it('says the same however the text is cut, and only what was said', () => {
    const any = fc
      .tuple(fc.string(), fc.string())
      .chain(([told, said]) => fc.tuple(fc.constant({ told, said }), cut(said)));
    fc.assert(
      fc.property(any, ([{ told, said }, pieces]) => {
        const whole = behind(told, said);
        expect(pass(createSeam(told, nothing), pieces)).toBe(whole);
        expect(said.endsWith(whole.trimStart())).toBe(true);
      }),
    );
  });
});

describe('a rest', () => {
  it('is what comes behind the told text, cut anywhere', () => {
    const made = fc
      .tuple(prose, prose)
      .chain(([told, more]) => fc.tuple(fc.constant({ told, more }), cut(told + more)));
    fc.assert(
      fc.property(made, ([{ told, more }, pieces]) => {
        expect(pass(createRest(told), pieces)).toBe(more);
      }),
    );
  });

  it('is none of a text that begins otherwise or is shorter', () => {
    for (const said of ['Another text.', 'Sick']) {
      expect(() => pass(createRest('Sick leave'), [said])).toThrow(
        expect.objectContaining({ code: 'stream_interrupted' }),
      );
    }
  });
});
