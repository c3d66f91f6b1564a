/** A chunk by its row number, with its score. */
export interface RankedChunk {
  readonly chunk: number;
  readonly score: number;
}

/** Keeps the best of what it is offered: the highest scores, of equal ones the lowest row numbers. */
export interface BestChunks {
  offer(chunk: number, score: number): void;
  /** What a score must reach to be kept. */
  least(): number;
  /** Best first. */
  inOrder(): readonly RankedChunk[];
}

/** A heap with the worst on top. */
export function createBestChunks(most: number): BestChunks {
  const heap: RankedChunk[] = [];

  function rise(entry: RankedChunk): void {
    let at = heap.length;
    while (at > 0) {
      const above = heap[(at - 1) >> 1] ?? entry;
      if (byRank(entry, above) <= 0) break;
      heap[at] = above;
      at = (at - 1) >> 1;
    }
    heap[at] = entry;
  }

  function replaceWorst(entry: RankedChunk): void {
    let at = 0;
    for (let below = 1; below < heap.length; below = at * 2 + 1) {
      const [left = entry, right = left] = [heap[below], heap[below + 1]];
      const isRight = byRank(right, left) > 0;
      const worse = isRight ? right : left;
      if (byRank(worse, entry) <= 0) break;
      heap[at] = worse;
      at = isRight ? below + 1 : below;
    }
    heap[at] = entry;
  }

  return {
    offer(chunk, score) {
      const worst = heap[0];
      if (heap.length < most || worst === undefined) {
        if (most > 0) rise({ chunk, score });
      } else if (score > worst.score || (score === worst.score && chunk < worst.chunk)) {
        replaceWorst({ chunk, score });
      }
    },
    least: () => (heap.length < most ? Number.NEGATIVE_INFINITY : (heap[0]?.score ?? Number.POSITIVE_INFINITY)),
    inOrder: () => [...heap].sort(byRank),
  };
}

/** Negative when the first is better. */
function byRank(one: RankedChunk, other: RankedChunk): number {
  return other.score - one.score || one.chunk - other.chunk;
}
