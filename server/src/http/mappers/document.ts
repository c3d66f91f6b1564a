import type { Chunk, Document } from '../../store/index.ts';
import type { WireChunk, WireDocument, WireDocumentWithText } from '../contract/index.ts';
import { toSeconds } from './time.ts';

export function toWireDocument(document: Omit<Document, 'text'>): WireDocument {
  return {
    id: document.id,
    object: 'document',
    bot_id: document.botId,
    source_id: document.sourceId,
    title: document.title,
    url: document.url,
    input_name: document.inputName,
    status: document.state,
    last_error: document.lastError && { ...document.lastError },
    content_hash: document.contentHash,
    tokens: document.tokens,
    created_at: toSeconds(document.createdAt),
  };
}

export function toWireDocumentWithText(document: Document): WireDocumentWithText {
  return { ...toWireDocument(document), text: document.text };
}

export function toWireChunk(chunk: Chunk): WireChunk {
  return {
    id: chunk.id,
    object: 'chunk',
    source_id: chunk.sourceId,
    document_id: chunk.documentId,
    position: chunk.position,
    start: chunk.start,
    end: chunk.end,
    text: chunk.text,
    heading_path: chunk.headingPath,
    page: chunk.page,
    tokens: chunk.tokens,
    hash: chunk.hash,
  };
}
