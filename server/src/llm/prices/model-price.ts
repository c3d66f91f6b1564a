import { createHash } from 'node:crypto';
import type { TokenUsage } from '../ports.ts';

/** US dollars per million tokens, as vendors publish them. What a vendor does not price apart is absent. */
export interface UnitPrices {
  readonly input: number;
  /** Of input that the provider had in its cache; absent: as all input. */
  readonly cachedInput?: number;
  /** Of input that the provider was told to keep; absent: as all input. */
  readonly cacheWrite?: number;
  /** Absent: there is none (embedders). */
  readonly output?: number;
}

/** What a model costs, as it was published at some time. */
export interface ModelPrice {
  /** Names the entry and its content: equal ids are equal prices. `openai/gpt-4o-mini@2025-08-31#1f3a90c2`. */
  readonly id: string;
  /** `provider/model`, or `provider/*` for all that a provider has. */
  readonly model: string;
  readonly aliases: readonly string[];
  readonly kind: 'chat' | 'embedding';
  readonly unitPrices: UnitPrices;
  /** The day (`YYYY-MM-DD`) for which the source was read. */
  readonly asOf: string;
  readonly source: string;
  /** Whether it came with the server or from the operator's file. */
  readonly origin: 'built-in' | 'file';
}

/** The tokens that are charged. Cached and written ones are among the input ones. */
export interface ChargedTokens extends Pick<TokenUsage, 'inputTokens' | 'outputTokens'> {
  readonly cachedInputTokens?: number;
  readonly cacheWriteTokens?: number;
}

/** Gives the price its id. */
export function withId(price: Omit<ModelPrice, 'id'>): ModelPrice {
  const { model, asOf, unitPrices, source, kind } = price;
  const content = JSON.stringify([model, kind, asOf, source, unitPricesInOrder(unitPrices)]);
  const hash = createHash('sha256').update(content).digest('hex').slice(0, 8);
  return { ...price, id: `${model}@${asOf}#${hash}` };
}

function unitPricesInOrder({ input, cachedInput, cacheWrite, output }: UnitPrices) {
  return [input, cachedInput ?? null, cacheWrite ?? null, output ?? null];
}

/** A millionth of a millionth of a dollar: the exact price of one token, for prices of up to six decimals a million. */
const PICO_PER_MICRO = 1_000_000;
const PICO_PER_NANO = 1000n;

/**
 * What a call costs, in nano-dollars (1e-9 USD), rounded half up once at the end; all arithmetic is on integers. Token
 * counts are taken as whole and not negative; more cached tokens than input counts as all input.
 */
export function costInNanoUsd({ unitPrices }: Pick<ModelPrice, 'unitPrices'>, tokens: ChargedTokens): number {
  const input = wholeTokens(tokens.inputTokens);
  const cached = smaller(wholeTokens(tokens.cachedInputTokens ?? 0), input);
  const written = smaller(wholeTokens(tokens.cacheWriteTokens ?? 0), input - cached);
  const pico =
    (input - cached - written) * picoPerToken(unitPrices.input) +
    cached * picoPerToken(unitPrices.cachedInput ?? unitPrices.input) +
    written * picoPerToken(unitPrices.cacheWrite ?? unitPrices.input) +
    wholeTokens(tokens.outputTokens) * picoPerToken(unitPrices.output ?? 0);
  return Number((pico + PICO_PER_NANO / 2n) / PICO_PER_NANO);
}

/** Dollars of nano-dollars, for showing: exact to the last digit that a number can hold. */
export function toUsd(nanoUsd: number): number {
  return nanoUsd / 1e9;
}

function picoPerToken(usdPerMillion: number): bigint {
  return BigInt(Math.round(usdPerMillion * PICO_PER_MICRO));
}

function wholeTokens(tokens: number): bigint {
  return BigInt(Math.max(0, Math.round(Number.isFinite(tokens) ? tokens : 0)));
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
