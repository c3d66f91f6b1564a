import type { ParsedChunk, ParsedDocument, ParsedPart } from '../ports.ts';

/** A part as it crosses the thread border: the texts of chunks stand in their document's and are not copied. */
export interface WirePart extends Omit<ParsedPart, 'documents'> {
  readonly documents: readonly (Omit<ParsedDocument, 'chunks'> & {
    readonly chunks: WireChunks;
  })[];
}

/** Chunks without their texts, which the caller has. */
export type WireChunks = readonly Omit<ParsedChunk, 'text'>[];

export function toWireChunks(chunks: readonly ParsedChunk[]): WireChunks {
  return chunks.map(({ text: _, ...chunk }) => chunk);
}

export function fromWireChunks(chunks: WireChunks, text: string): readonly ParsedChunk[] {
  return chunks.map((chunk) => ({ ...chunk, text: text.slice(chunk.start, chunk.end) }));
}

export function toWirePart(part: ParsedPart): WirePart {
  return {
    ...part,
    documents: part.documents.map((document) => ({
      ...document,
      chunks: toWireChunks(document.chunks),
    })),
  };
}

export function fromWirePart(part: WirePart): ParsedPart {
  return {
    ...part,
    documents: part.documents.map((document) => ({
      ...document,
      chunks: fromWireChunks(document.chunks, document.text),
    })),
  };
}
