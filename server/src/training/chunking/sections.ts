import { plainHeading } from '../loaders/markdown-loader.ts';
import type { Block } from './block-scanner.ts';

/** A heading with what stands under it. The root stands for the whole text and has no heading. */
export interface Section {
  /** Headings above and of this section, outermost first; a heading that repeats the title is left out. */
  readonly headingPath: readonly string[];
  /** Its heading and the blocks up to the next one. Empty where a deeper heading follows at once: that takes it over. */
  readonly blocks: readonly Block[];
  /** Sections under deeper headings, in order. */
  readonly children: readonly Section[];
}

interface OpenSection extends Section {
  readonly level: number;
  readonly blocks: Block[];
  readonly children: OpenSection[];
}

/** Arranges blocks under their headings. */
export function treeOfSections(blocks: readonly Block[], title: string): Section {
  const root: OpenSection = { level: 0, headingPath: [], blocks: [], children: [] };
  const open: OpenSection[] = [root];
  for (const block of blocks) {
    if (block.kind !== 'heading') {
      (open.at(-1) ?? root).blocks.push(block);
      continue;
    }
    while (open.length > 1 && (open.at(-1)?.level ?? 0) >= block.level) open.pop();
    const parent = open.at(-1) ?? root;
    const above = isBare(parent) ? parent.blocks.splice(0) : [];
    const headingPath = [...parent.headingPath, ...nameOf(block.text, title)];
    const section: OpenSection = { level: block.level, headingPath, blocks: [...above, block], children: [] };
    parent.children.push(section);
    open.push(section);
  }
  return root;
}

function isBare(section: OpenSection): boolean {
  return section.children.length === 0 && section.blocks.every((block) => block.kind === 'heading');
}

/** What a heading adds to the path: nothing when it is empty or repeats the title. */
export function nameOf(heading: string, title: string): readonly string[] {
  const name = plainHeading(heading);
  return name === '' || name.toLowerCase() === title.trim().toLowerCase() ? [] : [name];
}
