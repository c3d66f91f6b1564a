import { AppError } from '../../kernel/index.ts';
import type { BotModel, BotSettings } from '../../store/index.ts';
import type { BotChangesBody, WireBotModel } from '../contract/index.ts';

/**
 * What a request says of a bot's models. A `model` alone replaces the list: it is what its sender wants to answer. Rejects
 * with `invalid_request` when `model` is not the first of `models`.
 */
export function botModelsOf({ model, models }: BotChangesBody): Partial<Pick<BotSettings, 'model' | 'models'>> {
  if (models === undefined) return model === undefined ? {} : { model, models: null };
  if (models === null) return { models: null, ...(model === undefined ? {} : { model }) };
  const list = models.map(toBotModel);
  const first = list.toSorted((a, b) => a.rank - b.rank)[0]?.model ?? null;
  if (model !== undefined && model !== first) {
    throw new AppError('invalid_request', 'model: It must be the first of `models`, or left out.', { param: 'model' });
  }
  return { model: first, models: list };
}

function toBotModel({ model, rank, weight, keys, cheaper }: WireBotModel, place: number): BotModel {
  return {
    model,
    rank: rank ?? place,
    weight: weight ?? 1,
    ...(keys === undefined ? {} : { keys: keys.map((entry) => ({ key: entry.key, weight: entry.weight ?? 1 })) }),
    ...(cheaper === true ? { cheaper } : {}),
  };
}

export function toWireModels(models: BotSettings['models']): WireBotModel[] | null {
  if (models === undefined || models === null) return null;
  return models.map(({ keys, ...entry }) => ({ ...entry, ...(keys === undefined ? {} : { keys: [...keys] }) }));
}
