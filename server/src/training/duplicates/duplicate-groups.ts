import { SIGNATURE_VALUES } from './text-signature.ts';

/** Documents to compare, by their place: 0, 1, 2 ... the oldest first. */
export interface Fingerprints {
  readonly contentHashes: readonly string[];
  /** The signatures one after the other. */
  readonly signatures: Uint16Array;
  /** 1 where a document has a signature; the others are compared by their hash alone. */
  readonly signed: Uint8Array;
}

/** A document and what is like it. */
export interface DuplicateGroup {
  /** Places, the oldest document first. */
  readonly members: readonly number[];
  /** How much each has in common with the first, 0..1; 1: the very same text. */
  readonly similarities: readonly number[];
}

/** Estimates below this are not reported. */
const LEAST_SIMILARITY = 0.8;
/** Two texts of similarity 0.8 share a band with a probability of 0.998, of 0.5 with 0.28. */
const BANDS = 21;
const ROWS = 6;
/** Within a crowded band each is compared with so many others: those that are all alike find each other all the same. */
const COMPARED = 40;

/**
 * Groups of equal and nearly equal texts: candidates by locality-sensitive hashing of bands (Indyk and Motwani, 1998),
 * judged by their whole signatures. A text joins the group of the oldest one that it is like. Time and memory grow with
 * the number of documents, not with its square.
 */
export function findDuplicateGroups(fingerprints: Fingerprints): readonly DuplicateGroup[] {
  const copies = copiesOf(fingerprints.contentHashes);
  const neighbours = neighboursOf([...copies.keys()], fingerprints);
  const taken = new Set<number>();
  const groups: DuplicateGroup[] = [];
  for (const first of copies.keys()) {
    if (taken.has(first)) continue;
    const members = new Map<number, number>();
    for (const copy of copies.get(first) ?? []) members.set(copy, 1);
    for (const [other, similarity] of neighbours.get(first) ?? []) {
      if (taken.has(other) || other < first) continue;
      taken.add(other);
      for (const copy of copies.get(other) ?? []) members.set(copy, similarity);
    }
    if (members.size < 2) continue;
    const sorted = [...members].sort(([one], [other]) => one - other);
    groups.push({ members: sorted.map(([place]) => place), similarities: sorted.map(([, similarity]) => similarity) });
  }
  return groups;
}

/** The places of equal texts by that of the first. */
function copiesOf(hashes: readonly string[]): ReadonlyMap<number, readonly number[]> {
  const firsts = new Map<string, number>();
  const copies = new Map<number, number[]>();
  for (const [place, hash] of hashes.entries()) {
    const first = firsts.get(hash) ?? place;
    firsts.set(hash, first);
    const known = copies.get(first);
    if (known === undefined) copies.set(first, [place]);
    else known.push(place);
  }
  return copies;
}

function neighboursOf(places: readonly number[], { signatures, signed }: Fingerprints) {
  const neighbours = new Map<number, Map<number, number>>();
  const compared = places.filter((place) => signed[place] === 1);
  for (let band = 0; band < BANDS; band += 1) {
    const buckets = new Map<string, number[]>();
    for (const place of compared) {
      const start = place * SIGNATURE_VALUES + band * ROWS;
      const key = String.fromCharCode(...signatures.subarray(start, start + ROWS));
      const bucket = buckets.get(key);
      if (bucket === undefined) buckets.set(key, [place]);
      else {
        // The oldest ones: it is them that groups are made around.
        for (const other of bucket.slice(0, COMPARED)) note(other, place);
        bucket.push(place);
      }
    }
  }
  return neighbours;

  function note(older: number, newer: number): void {
    const known = neighbours.get(older);
    if (known?.has(newer)) return;
    const similarity = similarityOf(signatures, older, newer);
    if (similarity < LEAST_SIMILARITY) return;
    if (known === undefined) neighbours.set(older, new Map([[newer, similarity]]));
    else known.set(newer, similarity);
  }
}

/** The share of equal values; never 1, which is for texts that are known to be equal. */
function similarityOf(signatures: Uint16Array, one: number, other: number): number {
  let equal = 0;
  for (let value = 0; value < SIGNATURE_VALUES; value += 1) {
    if (signatures[one * SIGNATURE_VALUES + value] === signatures[other * SIGNATURE_VALUES + value]) equal += 1;
  }
  return Math.min(0.999, equal / SIGNATURE_VALUES);
}
