/**
 * Positions of the `limit` highest scores, in no order; `-Infinity` is never chosen, nor what `accept` refuses. A heap
 * of the chosen with the lowest on top: O(n log limit).
 */
export function positionsOfBest(
  scores: Float32Array,
  limit: number,
  accept: (position: number) => boolean,
): readonly number[] {
  const heap: number[] = [];
  const scoreAt = (slot: number): number => scores[heap[slot] ?? 0] ?? Number.NEGATIVE_INFINITY;

  function swap(one: number, other: number): void {
    const position = heap[one] ?? 0;
    heap[one] = heap[other] ?? 0;
    heap[other] = position;
  }

  function rise(from: number): void {
    for (let slot = from; slot > 0; ) {
      const parent = (slot - 1) >> 1;
      if (scoreAt(parent) <= scoreAt(slot)) return;
      swap(parent, slot);
      slot = parent;
    }
  }

  function sink(): void {
    for (let slot = 0; ; ) {
      const left = slot * 2 + 1;
      if (left >= heap.length) return;
      const right = left + 1;
      const lower = right < heap.length && scoreAt(right) < scoreAt(left) ? right : left;
      if (scoreAt(slot) <= scoreAt(lower)) return;
      swap(slot, lower);
      slot = lower;
    }
  }

  for (let position = 0; position < scores.length; position += 1) {
    const score = scores[position] ?? Number.NEGATIVE_INFINITY;
    const isFull = heap.length === limit;
    if (score === Number.NEGATIVE_INFINITY || (isFull && score <= scoreAt(0)) || !accept(position)) continue;
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
