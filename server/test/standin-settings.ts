/** How the stand-in misbehaves. The streaming ones say `afterTokens` tokens first. */
export type StandinFault =
  | 'none'
  | 'rate_limit'
  | 'quota'
  | 'error_500'
  | 'error_503'
  | 'error_529'
  | 'html_502'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'bad_request'
  | 'context_length'
  | 'redirect'
  | 'hang_before_byte'
  | 'hang_after_head'
  | 'hang_mid_stream'
  | 'hang_after_finish'
  | 'reset_before_byte'
  | 'reset_mid_stream'
  | 'truncated'
  | 'no_done'
  | 'error_event'
  | 'error_event_first'
  | 'error_after_role'
  | 'empty_stream'
  | 'malformed_line'
  | 'malformed_json'
  | 'error_in_200'
  | 'empty_body'
  | 'short_body'
  | 'slow_stream'
  | 'split_utf8'
  | 'crlf'
  | 'content_filter'
  | 'ignores_stream'
  | 'short_embeddings'
  | 'float_embeddings'
  | 'shuffled_embeddings';

export interface StandinSettings {
  /** What the model says, one token an item. */
  tokens: readonly string[];
  /** The misbehaviour of calls that have none from `nextFaults`. */
  fault: StandinFault;
  /** Misbehaviours of the next calls, used up in order. */
  nextFaults: StandinFault[];
  /** Only calls of these models get faults; null: all do. */
  faultModels: readonly string[] | null;
  /** Tokens said before a mid-stream fault. */
  afterTokens: number;
  /** Time between two tokens; 0: they come in packets, as many at once as the connection takes. */
  tokenDelayMs: number;
  /** Says the tokens again and again until so many are said; 0: once. */
  totalTokens: number;
  /** Headers sent with `rate_limit`. */
  rateLimitHeaders: Readonly<Record<string, string>>;
  /** Calls with another bearer token are refused; null: all are taken. */
  apiKey: string | null;
  /** Width of embeddings when a request names none. */
  dimensions: number;
}

export interface StandinRequest {
  readonly path: string;
  readonly authorization: string | undefined;
  /** Calls with the same one came over the same connection. */
  readonly clientPort: number | undefined;
  readonly body: Readonly<Record<string, unknown>>;
}
