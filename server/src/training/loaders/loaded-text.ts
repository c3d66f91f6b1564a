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
