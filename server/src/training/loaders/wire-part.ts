import type { ParsedChunk, ParsedDocument, ParsedPart } from '../ports.ts';

/** A part as it crosses the thread border: the texts of chunks stand in their document's and are not copied. */
export interface WirePart extends Omit<ParsedPart, 'documents'> {
  readonly documents: readonly (Omit<ParsedDocument, 'chunks'> & {
    readonly chunks: readonly Omit<ParsedChunk, 'text'>[];
  })[];
}

export function toWirePart(part: ParsedPart): WirePart {
  return {
    ...part,
    documents: part.documents.map((document) => ({
      ...document,
      chunks: document.chunks.map(({ text: _, ...chunk }) => chunk),
    })),
  };
}

export function fromWirePart(part: WirePart): ParsedPart {
  return {
    ...part,
    documents: part.documents.map((document) => ({
      ...document,
      chunks: document.chunks.map((chunk) => ({ ...chunk, text: document.text.slice(chunk.start, chunk.end) })),
    })),
  };
}
