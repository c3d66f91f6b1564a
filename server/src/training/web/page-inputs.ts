import type { SourceInput, SourcePage } from '../../store/index.ts';
import { addressKey } from './page-address.ts';

const LONGEST_NAME = 1_000;

/**
 * What a source is trained on: each page once. Of pages with the same canonical address the one that lives there stands
 * for all, else the first; of pages with the same bytes the first. `cut` tells how texts are cut into chunks.
 */
export function inputsOfPages(pages: readonly SourcePage[], cut: string): readonly SourceInput[] {
  const copies = pages.flatMap(({ kind, state, url, copy }) => {
    const counts = kind === 'page' && (state === 'usable' || state === 'failed') && copy !== null;
    return counts ? [{ key: url, copy, canonicalKey: addressKey(new URL(copy.canonicalUrl)) }] : [];
  });
  const canonical = new Set(copies.flatMap(({ key, canonicalKey }) => (key === canonicalKey ? [key] : [])));
  const seen = new Set<string>();
  const inputs: SourceInput[] = [];
  for (const { key, canonicalKey, copy } of copies) {
    const { canonicalUrl, mediaType, blobHash, bytes } = copy;
    if (key !== canonicalKey && canonical.has(canonicalKey)) continue;
    if (seen.has(canonicalKey) || seen.has(blobHash)) continue;
    seen.add(canonicalKey).add(blobHash);
    inputs.push({
      name: canonicalUrl.slice(0, LONGEST_NAME),
      mediaType,
      blobHash,
      bytes,
      url: canonicalUrl,
      trainedAs: `${blobHash} ${cut}`,
    });
  }
  return inputs;
}
