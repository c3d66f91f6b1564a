import type { Citation, Conversation, Message } from '../../store/index.ts';
import type { WireCitation, WireConversation, WireMessage } from '../contract/index.ts';
import { toSeconds } from './time.ts';

export function toWireConversation(conversation: Conversation): WireConversation {
  return {
    id: conversation.id,
    object: 'conversation',
    bot_id: conversation.botId,
    user: conversation.endUser,
    title: conversation.title,
    metadata: { ...conversation.metadata },
    created_at: toSeconds(conversation.createdAt),
    updated_at: toSeconds(conversation.updatedAt),
  };
}

export function toWireMessage(message: Message): WireMessage {
  return {
    id: message.id,
    object: 'message',
    bot_id: message.botId,
    conversation_id: message.conversationId,
    role: message.role,
    content: message.content,
    status: message.status,
    citations: message.citations.map(toWireCitation),
    grounded: message.grounded,
    served_by: message.servedBy,
    created_at: toSeconds(message.createdAt),
  };
}

export function toWireCitation(citation: Citation): WireCitation {
  return {
    index: citation.index,
    source_id: citation.sourceId,
    document_id: citation.documentId,
    chunk_id: citation.chunkId,
    external_key: citation.externalKey,
    title: citation.title,
    url: citation.url,
    page: citation.page,
    start: citation.start,
    end: citation.end,
    quote: citation.quote,
    score: citation.score,
  };
}
