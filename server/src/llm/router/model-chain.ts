import type { Candidate, ModelEntry } from './model-target.ts';
import { createRotation } from './rotation.ts';

/** The models that may answer, in their order. */
export interface ModelChain {
  /** The model of the first entry, `provider/model`. */
  readonly id: string;
  /** The rank whose answers are not degraded. */
  readonly firstRank: number;
  /** Every target once, in the order in which they are to be tried for the answer at hand. */
  order(): readonly Candidate[];
}

/** Throws when there is no entry. */
export function createModelChain(entries: readonly ModelEntry[], random: () => number): ModelChain {
  const ranks = [...new Set(entries.map(({ rank }) => rank))].toSorted((a, b) => a - b);
  const groups = ranks.map((rank) => {
    const members = entries.filter((entry) => entry.rank === rank);
    const turns = createRotation(
      members.map(({ weight }) => weight),
      random,
    );
    return { members, turns };
  });
  const first = groups[0]?.members[0];
  const firstTarget = first?.targets[0];
  if (first === undefined || firstTarget === undefined) throw new Error('a chain of models needs a model');
  // The common case: nothing to choose, nothing to make.
  const only: readonly Candidate[] | null =
    entries.length === 1 && first.targets.length === 1
      ? [{ target: firstTarget, rank: first.rank, cheaper: false }]
      : null;
  return {
    id: firstTarget.model.id,
    firstRank: first.rank,
    order() {
      if (only !== null) return only;
      const [[primary, ...rest] = [], ...lower] = groups.map(({ members, turns }, place) =>
        (place === 0 ? turns.next() : turns.any()).flatMap((member) => members.slice(member, member + 1)),
      );
      const spares = [...rest, ...lower.flat()].flatMap((entry) => candidatesOf(entry, entry.keys.any()));
      return primary === undefined ? spares : [...candidatesOf(primary, primary.keys.next()), ...spares];
    },
  };
}

function candidatesOf({ rank, targets, cheaper = false }: ModelEntry, places: readonly number[]): Candidate[] {
  return places.flatMap((place) => targets.slice(place, place + 1)).map((target) => ({ target, rank, cheaper }));
}
