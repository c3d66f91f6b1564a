import type { ModelPrice } from './model-price.ts';
import { normalName } from './price-table.ts';

/** Who sells a vendor's models at the vendor's list price, under its own name. */
const RESELLERS: Readonly<Record<string, string>> = {
  azure: 'openai',
  'azure-openai': 'openai',
  bedrock: 'anthropic',
  vertex: 'anthropic',
};

/** What is added to a model's name for one edition of it. */
const EDITION = /(?:[-@](?:\d{4}-\d{2}-\d{2}|\d{8}|\d{4}|latest))(?:-v\d+(?::\d+)?)?$/;
/** What a cloud puts before and behind a vendor's name of a model. */
const CLOUD_PREFIX = /^(?:(?:us|eu|apac|global)\.)?(?:anthropic|openai)\./;
const CLOUD_SUFFIX = /-v\d+(?::\d+)?$/;

/** Finds prices by model. Entries that come later hide earlier ones of the same name. */
export function createPriceLookup(prices: readonly ModelPrice[]): (model: string) => ModelPrice | null {
  const byName = new Map(
    prices.flatMap((price) => [price.model, ...price.aliases].map((name) => [normalName(name), price] as const)),
  );
  return (model) => {
    for (const name of namesToTry(normalName(model))) {
      const found = byName.get(name);
      if (found !== undefined) return found;
    }
    return null;
  };
}

/**
 * The names under which a model may be priced, the most exact first: as it is called, without the edition (`-2024-07-18`),
 * under its vendor when a reseller (`azure/`, `openrouter/openai/`) serves it, and last any model of the provider. A fine-tuned model
 * (`ft:`) has prices of its own and is none of these.
 */
function* namesToTry(model: string): Generator<string> {
  for (const name of vendorNames(model)) {
    yield name;
    const plain = name.replace(EDITION, '');
    if (plain !== name) yield plain;
  }
  yield `${model.slice(0, model.indexOf('/'))}/*`;
}

function vendorNames(model: string): readonly string[] {
  const [provider = '', ...rest] = model.split('/');
  const name = rest.join('/');
  const vendor = Object.hasOwn(RESELLERS, provider) ? RESELLERS[provider] : undefined;
  return [
    model,
    ...(vendor === undefined ? [] : [`${vendor}/${name.replace(CLOUD_PREFIX, '').replace(CLOUD_SUFFIX, '')}`]),
    ...(rest.length === 2 ? [name, name.replace(/^(anthropic\/.*)\./, '$1-')] : []),
  ];
}
