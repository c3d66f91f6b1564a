import { Document, type DocumentInterface } from '@langchain/core/documents';
import { BaseRetriever, type BaseRetrieverInput } from '@langchain/core/retrievers';
import { type ChatSphereConnection, callChatSphere } from './connection.ts';

export interface ChatSphereRetrieverFields extends ChatSphereConnection, BaseRetrieverInput {
  /** Most documents, 1..50. Default 10. */
  readonly k?: number;
  /** OpenAI's filter over metadata: `{type: 'eq', key, value}`, `{type: 'and', filters: [...]}` ... */
  readonly filter?: object;
  /** Only documents with at least this score, 0..1. */
  readonly scoreThreshold?: number;
}

/** What each document carries beside its text. */
export type ChatSphereDocumentMetadata = {
  /** The address if there is one, else the title: what LangChain.js calls the source. */
  readonly source: string;
  readonly title: string;
  readonly url: string | null;
  readonly source_id: string;
  readonly document_id: string;
  readonly chunk_id: string;
  readonly external_key: string | null;
  readonly heading_path: readonly string[];
  readonly page: number | null;
  /** Offsets into the document's text: UTF-16 units, `end` exclusive. */
  readonly start: number;
  readonly end: number;
  /** 0..1, higher is better. */
  readonly score: number;
  readonly scores: { readonly dense: number | null; readonly lexical: number | null };
};

type Hit = Omit<ChatSphereDocumentMetadata, 'source'> & { readonly text: string };

/** A retriever of LangChain.js over the search of a bot. */
export class ChatSphereRetriever extends BaseRetriever<ChatSphereDocumentMetadata> {
  static override lc_name(): string {
    return 'ChatSphereRetriever';
  }
  lc_namespace = ['chatsphere', 'retrievers'];
  override get lc_secrets(): Record<string, string> {
    return { apiKey: 'CHATSPHERE_API_KEY' };
  }
  k: number;
  filter: object | undefined;
  scoreThreshold: number | undefined;
  readonly #connection: ChatSphereConnection;

  constructor(fields: ChatSphereRetrieverFields) {
    super(fields);
    this.#connection = fields;
    this.k = fields.k ?? 10;
    this.filter = fields.filter;
    this.scoreThreshold = fields.scoreThreshold;
  }

  /** Base retrievers are not told of the signal, so it goes along with the call here. */
  override async invoke(
    input: string,
    options?: Parameters<BaseRetriever<ChatSphereDocumentMetadata>['invoke']>[1],
  ): Promise<DocumentInterface<ChatSphereDocumentMetadata>[]> {
    const call = new ChatSphereRetriever({ ...this.#fields(), k: this.k });
    call._getRelevantDocuments = (query) => this.#search(query, options?.signal);
    return BaseRetriever.prototype.invoke.call(call, input, options) as Promise<
      DocumentInterface<ChatSphereDocumentMetadata>[]
    >;
  }

  override _getRelevantDocuments(query: string): Promise<DocumentInterface<ChatSphereDocumentMetadata>[]> {
    return this.#search(query, undefined);
  }

  #fields(): ChatSphereRetrieverFields {
    const { callbacks, tags, metadata, verbose } = this;
    return {
      ...this.#connection,
      ...{ tags, metadata, verbose },
      ...(callbacks === undefined ? {} : { callbacks }),
    } as ChatSphereRetrieverFields;
  }

  async #search(query: string, signal: AbortSignal | undefined): Promise<Document<ChatSphereDocumentMetadata>[]> {
    signal?.throwIfAborted();
    const response = await callChatSphere(this.#connection, {
      path: `/bots/${encodeURIComponent(this.#connection.bot)}/search`,
      body: {
        query,
        max_num_results: this.k,
        ...(this.filter === undefined ? {} : { filters: this.filter }),
        ...(this.scoreThreshold === undefined ? {} : { ranking_options: { score_threshold: this.scoreThreshold } }),
      },
      signal,
    });
    const { data } = (await response.json()) as { readonly data: readonly Hit[] };
    return data.map(
      ({ text, ...hit }) =>
        new Document({ pageContent: text, id: hit.chunk_id, metadata: { ...hit, source: hit.url ?? hit.title } }),
    );
  }
}
