import { AppError } from '../kernel/index.ts';

export interface ModelId {
  /** Lower case: `openai`, `local`. */
  readonly provider: string;
  /** As the provider spells it; may hold slashes itself. */
  readonly model: string;
}

/**
 * Takes `provider/model` apart. A name without a provider belongs to `defaultProvider`. Throws `model_not_found` when
 * a part is missing.
 */
export function parseModelId(id: string, defaultProvider?: string): ModelId {
  const slash = id.indexOf('/');
  const provider = slash < 0 ? (defaultProvider ?? '') : id.slice(0, slash).toLowerCase();
  const model = id.slice(slash + 1);
  if (!/^[a-z0-9-]+$/.test(provider) || !/^[^\s/]\S*$/.test(model)) {
    throw new AppError(
      'model_not_found',
      'That is no model. Name one as provider/model, for example openai/gpt-4o-mini.',
    );
  }
  return { provider, model };
}
