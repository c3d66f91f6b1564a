import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../kernel/index.ts';
import { costInNanoUsd, type ModelPrice, toUsd, withId } from './model-price.ts';
import { createPriceBook, type PriceFile } from './price-book.ts';
import { readPriceTable } from './price-table.ts';

const NOW = Date.parse('2026-11-01');
const clock = { now: () => NOW };
const UNIT = 'USD per million tokens';

const entry = (changes: Record<string, unknown> = {}) => ({
  model: 'acme/large',
  kind: 'chat',
  input: 2,
  output: 8,
  as_of: '2026-01-31',
  source: 'Acme price list',
  ...changes,
});

const read = (...models: unknown[]) => readPriceTable({ unit: UNIT, models }, { origin: 'file', now: NOW });

describe('price table', () => {
  it('that comes with the server has no faults', () => {
    const builtIn = JSON.parse(readFileSync(new URL('./assets/model-prices.json', import.meta.url), 'utf8'));
    const table = readPriceTable(builtIn, { origin: 'built-in', now: NOW });
    expect(table.faults).toEqual([]);
    expect(table.prices?.length).toBeGreaterThan(30);
  });

  it.each([
    ['a price a token', { input: 0.000002, output: 0.000008 }, /less than|decimals/],
    ['a price a thousand tokens, twice', { input: 0.0005, output: 0.0015 }, /less than/],
    ['cents', { input: 250, output: 1000 }, /more than 200/],
    ['output below input', { output: 1 }, /output costs less/],
    ['a cached price above input', { cached_input: 3 }, /cached_input/],
    ['a cache write below input', { cache_write: 1 }, /cache_write/],
    ['a negative price', { input: -1 }, /input/],
    ['a price in words', { input: '2' }, /input/],
    ['0 by mistake', { input: 0, output: 0 }, /"free": true/],
    ['an input of 0 by mistake', { input: 0 }, /"free": true/],
    ['prices of what is free', { free: true }, /free but has prices/],
    ['no output price', { output: undefined }, /output is missing/],
    ['a day that is none', { as_of: '2026-02-30' }, /as_of/],
    ['a day yet to come', { as_of: '2027-01-01' }, /yet to come/],
    ['a day of long ago', { as_of: '1970-01-01' }, /long ago/],
    ['a name without provider', { model: 'large' }, /provider\/model/],
    ['an unknown field', { per_request: 1 }, /per_request/],
    ['a name twice within', { aliases: ['acme/LARGE'] }, /priced twice/],
    ['an embedder at the price of a chat model', { kind: 'embedding', input: 6 }, /more than 5/],
  ])('leaves out %s, and that alone', (_name, changes, fault) => {
    const table = read(entry({ model: 'acme/first' }), entry(changes), entry({ model: 'acme/last' }));
    expect(table.prices?.map(({ model }) => model)).toEqual(['acme/first', 'acme/last']);
    expect(table.faults).toHaveLength(1);
    expect(table.faults[0]).toMatch(fault);
  });

  it('leaves out the second price of a name, also by an alias', () => {
    const table = read(entry(), entry({ input: 3 }), entry({ model: 'acme/other', aliases: ['acme/large'] }));
    expect(table.prices?.map(({ unitPrices }) => unitPrices.input)).toEqual([2]);
    expect(table.faults).toHaveLength(2);
  });

  it.each([[null], [[]], [{ models: [] }], [{ unit: 'USD per 1K tokens', models: [] }], [{ unit: UNIT }]])(
    'takes %j for no table',
    (json) => {
      expect(readPriceTable(json, { origin: 'file', now: NOW }).prices).toBeNull();
    },
  );

  it('survives whatever stands in the list', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), (models) => {
        const table = read(...models, entry());
        expect(table.prices).toHaveLength(1);
        expect(table.faults).toHaveLength(models.length);
      }),
    );
  });
});

describe('cost', () => {
  const price = (unitPrices: ModelPrice['unitPrices']): ModelPrice =>
    withId({
      model: 'acme/large',
      aliases: [],
      kind: 'chat',
      unitPrices,
      asOf: '2026-01-31',
      source: 'x',
      origin: 'file',
    });

  it('is what the price list says', () => {
    const mini = price({ input: 0.15, cachedInput: 0.075, output: 0.6 });
    expect(costInNanoUsd(mini, { inputTokens: 1000, outputTokens: 100 })).toBe(210_000);
    expect(costInNanoUsd(mini, { inputTokens: 1000, cachedInputTokens: 400, outputTokens: 100 })).toBe(180_000);
    expect(toUsd(210_000)).toBe(0.00021);
    const written = price({ input: 3, cachedInput: 0.3, cacheWrite: 3.75, output: 15 });
    expect(
      costInNanoUsd(written, { inputTokens: 100, cachedInputTokens: 10, cacheWriteTokens: 20, outputTokens: 0 }),
    ).toBe(70 * 3000 + 10 * 300 + 20 * 3750);
  });

  it('adds up without drift: a million calls cost a million times one call', () => {
    const cost = costInNanoUsd(price({ input: 0.1, output: 0.3 }), { inputTokens: 3, outputTokens: 1 });
    let sum = 0;
    for (let call = 0; call < 1_000_000; call += 1) sum += cost;
    expect(toUsd(sum)).toBe(0.6);
  });

  const micro = fc.integer({ min: 0, max: 200_000_000 });
  const tokens = fc.integer({ min: 0, max: 10_000_000 });

  it('is the exact sum of the parts, rounded once', () => {
    fc.assert(
      fc.property(fc.tuple(micro, micro), tokens, tokens, ([input, output], inputTokens, outputTokens) => {
        const cost = costInNanoUsd(price({ input: input / 1e6, output: output / 1e6 }), { inputTokens, outputTokens });
        const pico = BigInt(input) * BigInt(inputTokens) + BigInt(output) * BigInt(outputTokens);
        expect(BigInt(cost)).toBe((pico + 500n) / 1000n);
        expect(Number.isSafeInteger(cost)).toBe(true);
      }),
    );
  });

  it('never falls when more tokens are used, nor rises when some of them were cached', () => {
    fc.assert(
      fc.property(micro, tokens, fc.tuple(tokens, tokens), (input, inputTokens, [more, cachedInputTokens]) => {
        const unit = price({ input: input / 1e6, cachedInput: input / 2e6, output: 1 });
        const cost = costInNanoUsd(unit, { inputTokens, outputTokens: 0 });
        expect(costInNanoUsd(unit, { inputTokens: inputTokens + more, outputTokens: 0 })).toBeGreaterThanOrEqual(cost);
        expect(costInNanoUsd(unit, { inputTokens, cachedInputTokens, outputTokens: 0 })).toBeLessThanOrEqual(cost);
      }),
    );
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, -5])('takes %d tokens for none', (inputTokens) => {
    expect(costInNanoUsd(price({ input: 1, output: 1 }), { inputTokens, outputTokens: 0 })).toBe(0);
  });
});

describe('price book', () => {
  const book = createPriceBook({ clock, logger: silentLogger });

  it.each([
    ['openai/gpt-4o-mini', 'openai/gpt-4o-mini'],
    ['openai/GPT-4o-mini-2024-07-18', 'openai/gpt-4o-mini'],
    ['openai/gpt-4o-2024-05-13', 'openai/gpt-4o-2024-05-13'],
    ['openai/gpt-4-0613', 'openai/gpt-4'],
    ['openai/gpt-4-1106-preview', 'openai/gpt-4-turbo'],
    ['azure/gpt-4o', 'openai/gpt-4o'],
    ['openai/openai/gpt-4o-mini', 'openai/gpt-4o-mini'],
    ['openrouter/anthropic/claude-3.5-haiku', 'anthropic/claude-3-5-haiku'],
    ['anthropic/claude-sonnet-4-5-20250929', 'anthropic/claude-sonnet-4-5'],
    ['anthropic/claude-3-7-sonnet-latest', 'anthropic/claude-3-7-sonnet'],
    ['bedrock/us.anthropic.claude-3-5-sonnet-20241022-v2:0', 'anthropic/claude-3-5-sonnet'],
    ['vertex/claude-3-haiku@20240307', 'anthropic/claude-3-haiku'],
    ['ollama/llama3.2:3b', 'ollama/*'],
    ['local/static-en', 'local/*'],
    ['chatsphere/extractive', 'chatsphere/extractive'],
  ])('knows %s as %s', (model, priced) => {
    expect(book.find(model)?.model).toBe(priced);
  });

  it.each([
    'openai/gpt-9',
    'openai/llama3.2',
    'openai/ft:gpt-4o-mini:acme::1',
    'acme/large',
    'gpt-4o',
    '',
    '/',
    'constructor/x',
  ])('has no price for %j', (model) => {
    expect(book.find(model)).toBeNull();
  });

  function withFile() {
    const texts: (string | Error | null)[] = [];
    const errors: unknown[] = [];
    const file: PriceFile = {
      path: 'prices.json',
      async readIfChanged() {
        const next = texts.shift() ?? null;
        if (next instanceof Error) throw next;
        return next;
      },
    };
    const logger = { ...silentLogger, error: (fields: unknown) => void errors.push(fields) };
    const made = createPriceBook({ clock, logger, file });
    const refreshWith = async (text: string | Error | null) => {
      texts.push(text);
      await made.refresh();
    };
    return { book: made, errors, refreshWith };
  }

  it('puts the entries of the file over its own, and takes over changes', async () => {
    const { book: own, refreshWith } = withFile();
    const table = (input: number) =>
      JSON.stringify({ unit: UNIT, models: [entry({ model: 'openai/gpt-4o', input, output: 9 }), entry()] });
    await refreshWith(table(1));
    expect(own.find('openai/gpt-4o')).toMatchObject({ unitPrices: { input: 1, output: 9 }, origin: 'file' });
    expect(own.find('acme/large')).not.toBeNull();
    expect(own.find('openai/gpt-4o-mini')?.origin).toBe('built-in');
    const before = own.find('openai/gpt-4o')?.id;
    await refreshWith(null);
    expect(own.find('openai/gpt-4o')?.id).toBe(before);
    await refreshWith(table(1.5));
    expect(own.find('openai/gpt-4o')?.unitPrices.input).toBe(1.5);
    expect(own.find('openai/gpt-4o')?.id).not.toBe(before);
    await refreshWith(JSON.stringify({ unit: UNIT, models: [] }));
    expect(own.find('openai/gpt-4o')).toMatchObject({ unitPrices: { input: 2.5 }, origin: 'built-in' });
  });

  it.each([['{"unit":'], ['{}'], [new Error('gone')]])(
    'keeps its prices when the file becomes %s, and says so',
    async (broken) => {
      const { book: own, errors, refreshWith } = withFile();
      await refreshWith(JSON.stringify({ unit: UNIT, models: [entry()] }));
      await refreshWith(broken);
      await refreshWith(broken instanceof Error ? broken : null);
      expect(own.find('acme/large')).not.toBeNull();
      expect(errors).toHaveLength(1);
    },
  );
});
