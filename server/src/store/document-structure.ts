/** Offsets point into the document's text. */
export interface DocumentStructure {
  readonly layout: 'markdown' | 'plain';
  /** Where each page begins, ascending. */
  readonly pageStarts?: readonly number[];
  readonly sections?: readonly {
    readonly start: number;
    readonly end: number;
    readonly headingPath: readonly string[];
  }[];
}
