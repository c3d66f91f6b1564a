/** Whose turn it is among several, by weight. */
export interface Rotation {
  /** The places 0, 1, 2 ... in the order in which they are to be tried now: the one whose turn it is first. */
  next(): readonly number[];
  /** An order by chance and weight, which takes nobody's turn: for those that are tried only if others fail. */
  any(): readonly number[];
}

/**
 * Smooth weighted round robin (as in nginx): of weights 3 and 1, the first has three turns of four, and not in a row where
 * that can be helped. `random` (uniform in [0, 1)) chooses where to begin, so that processes and bots do not begin alike.
 */
export function createRotation(weights: readonly number[], random: () => number): Rotation {
  if (weights.length <= 1) {
    const only: readonly number[] = weights.map((_, place) => place);
    return { next: () => only, any: () => only };
  }
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const credits = weights.map((weight) => weight * random());
  const places = weights.map((_, place) => place);
  return {
    next() {
      for (const place of places) credits[place] = (credits[place] ?? 0) + (weights[place] ?? 0);
      const order = places.toSorted((a, b) => (credits[b] ?? 0) - (credits[a] ?? 0));
      const chosen = order[0] ?? 0;
      credits[chosen] = (credits[chosen] ?? 0) - total;
      return order;
    },
    any() {
      // Weighted sampling without replacement (Efraimidis and Spirakis, 2006).
      const draws = weights.map((weight) => -Math.log(1 - random()) / weight);
      return places.toSorted((a, b) => (draws[a] ?? 0) - (draws[b] ?? 0));
    },
  };
}
