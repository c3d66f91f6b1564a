/** Which positions may be chosen, and which of two with equal scores comes first. */
export interface Choice {
  readonly limit: number;
  accept(position: number): boolean;
  /** A total order that says the same wherever things stand, so that the choice does not depend on positions. */
  precedes(one: number, other: number): boolean;
}

/**
 * Positions of the `limit` highest scores, in no order; `-Infinity` is never chosen, nor what `accept` refuses. A heap
 * of the chosen with the lowest on top: O(n log limit).
 */
export function positionsOfBest(scores: Float32Array, { limit, accept, precedes }: Choice): readonly number[] {
  const heap: number[] = [];

  function isBelow(one: number, other: number): boolean {
    const difference = (scores[one] ?? 0) - (scores[other] ?? 0);
    return difference < 0 || (difference === 0 && precedes(other, one));
  }

  const isBelowAt = (slot: number, otherSlot: number): boolean => isBelow(heap[slot] ?? 0, heap[otherSlot] ?? 0);

  function swap(one: number, other: number): void {
    const position = heap[one] ?? 0;
    heap[one] = heap[other] ?? 0;
    heap[other] = position;
  }

  function rise(from: number): void {
    for (let slot = from; slot > 0; ) {
      const parent = (slot - 1) >> 1;
      if (!isBelowAt(slot, parent)) return;
      swap(parent, slot);
      slot = parent;
    }
  }

  function sink(): void {
    for (let slot = 0; ; ) {
      const left = slot * 2 + 1;
      if (left >= heap.length) return;
      const right = left + 1;
      const lower = right < heap.length && isBelowAt(right, left) ? right : left;
      if (!isBelowAt(lower, slot)) return;
      swap(slot, lower);
      slot = lower;
    }
  }

  for (let position = 0; position < scores.length; position += 1) {
    const score = scores[position] ?? Number.NEGATIVE_INFINITY;
    const isFull = heap.length === limit;
    if (score === Number.NEGATIVE_INFINITY || (isFull && !isBelow(heap[0] ?? 0, position)) || !accept(position))
      continue;
    if (isFull) {
      heap[0] = position;
      sink();
    } else {
      heap.push(position);
      rise(heap.length - 1);
    }
  }
  return heap;
}
