import { scanBlocks } from './block-scanner.ts';
import type { ChunkedContent } from './chunk-making.ts';
import { nameOf } from './sections.ts';

/** The headings above an offset of a text, outermost first. Offsets must be asked in ascending order. */
export type HeadingTrail = (offset: number) => readonly string[];

interface Stop {
  readonly start: number;
  readonly headingPath: readonly string[];
}

/** For strategies that cut without regard to headings: each chunk still says what it stands under. */
export function createHeadingTrail(content: ChunkedContent): HeadingTrail {
  const stops = content.sections ?? stopsOf(content);
  let passed = 0;
  return (offset) => {
    while (passed < stops.length && (stops[passed]?.start ?? 0) <= offset) passed += 1;
    return stops[passed - 1]?.headingPath ?? [];
  };
}

function stopsOf({ text, title, layout }: ChunkedContent): readonly Stop[] {
  const open: { readonly level: number; readonly headingPath: readonly string[] }[] = [];
  return scanBlocks(text, { start: 0, end: text.length }, layout).flatMap((block) => {
    if (block.kind !== 'heading') return [];
    while ((open.at(-1)?.level ?? 0) >= block.level) open.pop();
    const headingPath = [...(open.at(-1)?.headingPath ?? []), ...nameOf(block.text, title)];
    open.push({ level: block.level, headingPath });
    return [{ start: block.start, headingPath }];
  });
}
