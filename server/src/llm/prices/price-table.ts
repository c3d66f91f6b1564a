import { z } from 'zod';
import { type ModelPrice, withId } from './model-price.ts';

export const PRICE_UNIT = 'USD per million tokens';

/** Beyond these a figure is in another unit (a thousand tokens, cents) or mistyped. In dollars per million tokens. */
const LEAST_PRICE = 0.001;
const MOST = {
  chat: { input: 200, output: 1000 },
  embedding: { input: 5, output: 5 },
};
const MOST_DECIMALS = 6;
/** A cache write costs more than plain input with those who charge for it, but never many times as much. */
const MOST_CACHE_WRITE_FACTOR = 4;
const EARLIEST_DATE = '2020-01-01';
const DAY_MS = 86_400_000;

const dollars = z
  .number()
  .min(0)
  .refine((price) => hasFewDecimals(price), { error: `has more than ${MOST_DECIMALS} decimals` });
const modelName = z
  .string()
  .max(200)
  .regex(/^[a-z0-9-]+\/(?:\*|[^\s*/][^\s*]*)$/, { error: 'must be provider/model, or provider/*' });
const date = z.string().refine(isDate, { error: 'must be a day, as YYYY-MM-DD' });

const tableSchema = z.object({
  unit: z.literal(PRICE_UNIT),
  as_of: date.optional(),
  models: z.array(z.unknown()).max(10_000),
});

const entrySchema = z.strictObject({
  model: modelName,
  kind: z.enum(['chat', 'embedding']),
  /** Must stand beside prices of 0, so that none is 0 by mistake. */
  free: z.literal(true).optional(),
  input: dollars,
  cached_input: dollars.optional(),
  cache_write: dollars.optional(),
  output: dollars.optional(),
  as_of: date,
  source: z.string().min(1).max(200),
  aliases: z.array(modelName).max(50).default([]),
});

type Entry = z.infer<typeof entrySchema>;

/** A table that was read: what can be used of it, and what is wrong with the rest. */
export interface PriceTable {
  readonly prices: readonly ModelPrice[];
  /** One line for each entry that was left out. */
  readonly faults: readonly string[];
}

/**
 * Reads a price table. An entry that is malformed or implausible (unit, magnitude, order of its prices, date, a name that
 * another has) is left out and named; the others hold. Returns null with the one fault when it is no table at all.
 */
export function readPriceTable(
  json: unknown,
  { origin, now }: { readonly origin: ModelPrice['origin']; readonly now: number },
): PriceTable | { readonly prices: null; readonly faults: readonly string[] } {
  const table = tableSchema.safeParse(json);
  if (!table.success) return { prices: null, faults: table.error.issues.map(lineOf) };
  const prices: ModelPrice[] = [];
  const faults: string[] = [];
  const taken = new Set<string>();
  for (const [position, given] of table.data.models.entries()) {
    const entry = entrySchema.safeParse(withDate(given, table.data.as_of));
    const found = entry.success ? faultsOf(entry.data, { taken, now }) : entry.error.issues.map(lineOf);
    if (found.length > 0 || !entry.success) {
      faults.push(`models[${position}]${nameOf(given)}: ${found.join('; ')}`);
      continue;
    }
    for (const name of namesOf(entry.data)) taken.add(name);
    prices.push(toPrice(entry.data, origin));
  }
  return { prices, faults };
}

function withDate(given: unknown, asOf: string | undefined): unknown {
  const isEntry = typeof given === 'object' && given !== null && !Array.isArray(given);
  return isEntry && asOf !== undefined ? { as_of: asOf, ...given } : given;
}

function faultsOf(entry: Entry, { taken, now }: { readonly taken: ReadonlySet<string>; readonly now: number }) {
  return [...namingFaults(entry, taken), ...dateFaults(entry, now), ...magnitudeFaults(entry), ...orderFaults(entry)];
}

function namingFaults(entry: Entry, taken: ReadonlySet<string>): string[] {
  const names = namesOf(entry);
  const own = names.filter((name, index) => names.indexOf(name) !== index);
  return [...new Set([...own, ...names.filter((name) => taken.has(name))])].map((name) => `${name} is priced twice`);
}

function dateFaults({ as_of: day }: Entry, now: number): string[] {
  if (day < EARLIEST_DATE) return [`as_of ${day} is too long ago`];
  // A day more, for those who are ahead of UTC.
  return Date.parse(day) > now + DAY_MS ? [`as_of ${day} is yet to come`] : [];
}

function magnitudeFaults({ kind, free, ...entry }: Entry): string[] {
  const figures = { input: entry.input, cached_input: entry.cached_input, output: entry.output };
  const faults = Object.entries(figures).flatMap(([name, price]) => {
    const most = name === 'output' ? MOST[kind].output : MOST[kind].input;
    if (price === undefined) return [];
    if (price > most) return [`${name} ${price} is more than ${most} ${PRICE_UNIT}`];
    return price > 0 && price < LEAST_PRICE ? [`${name} ${price} is less than ${LEAST_PRICE} ${PRICE_UNIT}`] : [];
  });
  const sum = entry.input + (entry.output ?? 0) + (entry.cached_input ?? 0) + (entry.cache_write ?? 0);
  if (free === true && sum > 0) faults.push('it is free but has prices');
  const needed = kind === 'chat' ? [entry.input, entry.output ?? 0] : [entry.input];
  if (free !== true && needed.includes(0)) faults.push('a price of 0 needs "free": true');
  return faults;
}

function orderFaults({ kind, ...entry }: Entry): string[] {
  const faults: string[] = [];
  const { input, output, cached_input: cached, cache_write: written } = entry;
  if (kind === 'chat' && output === undefined) faults.push('output is missing');
  if (output !== undefined && output < input) faults.push('output costs less than input');
  if (cached !== undefined && cached > input) faults.push('cached_input costs more than input');
  if (written !== undefined && (written < input || written > input * MOST_CACHE_WRITE_FACTOR)) {
    faults.push(`cache_write is not between input and ${MOST_CACHE_WRITE_FACTOR} times input`);
  }
  return faults;
}

function toPrice(entry: Entry, origin: ModelPrice['origin']): ModelPrice {
  return withId({
    model: normalName(entry.model),
    aliases: entry.aliases.map(normalName),
    kind: entry.kind,
    unitPrices: {
      input: entry.input,
      ...(entry.cached_input === undefined ? {} : { cachedInput: entry.cached_input }),
      ...(entry.cache_write === undefined ? {} : { cacheWrite: entry.cache_write }),
      ...(entry.output === undefined ? {} : { output: entry.output }),
    },
    asOf: entry.as_of,
    source: entry.source,
    origin,
  });
}

function namesOf({ model, aliases }: Entry): string[] {
  return [model, ...aliases].map(normalName);
}

/** Names of models are compared without regard to case. */
export function normalName(name: string): string {
  return name.toLowerCase();
}

function hasFewDecimals(price: number): boolean {
  const scaled = price * 10 ** MOST_DECIMALS;
  return Math.abs(scaled - Math.round(scaled)) < 1e-6 * Math.max(1, scaled);
}

function isDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const time = Date.parse(text);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}

function nameOf(given: unknown): string {
  const model = typeof given === 'object' && given !== null && 'model' in given ? given.model : undefined;
  return typeof model === 'string' ? ` (${model.slice(0, 200)})` : '';
}

function lineOf({ path, message }: z.core.$ZodIssue): string {
  return path.length === 0 ? message : `${path.join('.')}: ${message}`;
}
