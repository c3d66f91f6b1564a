import type { SearchHit, SearchRequest } from '../../chat/index.ts';
import type { SearchBody, WireSearchHit } from '../contract/index.ts';
import { toHybrid } from './bot.ts';
import { chatMessagesOf } from './chat-messages.ts';

export function searchRequestOf(body: SearchBody): SearchRequest {
  const ranking = body.ranking_options ?? {};
  return {
    query: body.query,
    ...(body.max_num_results === undefined ? {} : { maxNumResults: body.max_num_results }),
    ...(body.filters === undefined ? {} : { filter: body.filters }),
    ...(ranking.score_threshold === undefined ? {} : { scoreThreshold: ranking.score_threshold }),
    ...(ranking.hybrid === undefined ? {} : { hybrid: toHybrid(ranking.hybrid) }),
    ...(body.passages === undefined ? {} : { passages: { maxCharacters: body.passages.max_characters } }),
    ...(body.messages === undefined ? {} : { messages: chatMessagesOf(body.messages) }),
  };
}

export function toWireSearchHit({ chunk, score, scores }: SearchHit): WireSearchHit {
  return {
    source_id: chunk.sourceId,
    document_id: chunk.documentId,
    chunk_id: chunk.id,
    external_key: chunk.externalKey,
    title: chunk.documentTitle,
    url: chunk.documentUrl,
    heading_path: chunk.headingPath,
    page: chunk.page,
    start: chunk.start,
    end: chunk.end,
    text: chunk.text,
    score,
    scores: { dense: scores.dense, lexical: scores.lexical },
  };
}
