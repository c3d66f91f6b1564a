import type { ErrorCode } from '../../kernel/index.ts';

/** A stretch of a text under one heading, end exclusive. */
export interface GivenSection {
  readonly start: number;
  readonly end: number;
  readonly headingPath: readonly string[];
}

/** What a loader makes of an input: cleaned text, and how its structure is to be read. */
export interface LoadedText {
  /** What the content calls itself; null when it does not. */
  readonly title: string | null;
  readonly text: string;
  /** `markdown`: headings, lists, tables and fences are marked up; `plain`: only blank lines mean something. */
  readonly layout: 'markdown' | 'plain';
  /** Where each page (PDF) or slide begins in `text`, ascending: the first is page 1. Chunks name the page they begin on. */
  readonly pageStarts?: readonly number[];
  /** Sections that the loader already knows, in order and covering the text; each is chunked by itself. */
  readonly sections?: readonly GivenSection[];
}

/** One of several texts in an input: a file of an archive, a stretch of a huge text. Each becomes a document of its own. */
export interface NamedText extends LoadedText {
  /** In full, as people are to see it: `reports.zip/2024/may.md`. */
  readonly name: string;
  /** From 1, when it is one of several stretches of one text: told in name and title. */
  readonly part?: number;
}

/** A part of an input that cannot be used; the others can. */
export interface RefusedPart {
  /** In full, like that of a `NamedText`. */
  readonly name: string;
  readonly code: ErrorCode;
  /** What happened and what to do next, for people. */
  readonly message: string;
}

/** What a loader makes of an input that holds several texts, or of the next part of it. */
export interface LoadedContent {
  readonly texts: readonly NamedText[];
  readonly refusals: readonly RefusedPart[];
  /**
   * Handed to the loader again (`ContentSource.from`) to go on behind this part; null when the input ends here. The same
   * bytes must give the same parts again: that is how a training goes on after a crash.
   */
  readonly next: string | null;
  /** How much of the input has been read with this part, 0..1, when that can be told. */
  readonly share?: number;
}

export function isMultiple(loaded: LoadedText | LoadedContent): loaded is LoadedContent {
  return 'texts' in loaded;
}
