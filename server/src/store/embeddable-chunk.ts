/** What is embedded of a chunk. */
export interface EmbeddableChunk {
  readonly id: string;
  readonly documentId: string;
  readonly sourceId: string;
  readonly documentTitle: string;
  readonly headingPath: readonly string[];
  readonly text: string;
  readonly hash: string;
}
