/** One call of a provider over HTTP. */
export interface ProviderCall {
  /** Absolute. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON to post; null: a GET without a body. */
  readonly body: string | null;
  readonly signal?: AbortSignal;
}

/**
 * A response whose body comes as it is read. It must be read to its end, finished or cancelled: the connection is held
 * until then. A reader that does not read stops the sender once a bounded amount is waiting.
 */
export interface ProviderResponse {
  readonly status: number;
  /** By its lower-case name. */
  header(name: string): string | undefined;
  /**
   * All that has come since the last read, at least one piece; null at the end. Rejects with `stream_interrupted` when the
   * connection breaks (what came before is given first) and with the signal's reason when it aborts.
   */
  read(): Promise<readonly Uint8Array[] | null>;
  /** The reader has all it wants: frees the connection for the next call if the body ends within that time, else closes it. */
  finish(withinMs: number): void;
  /** Closes the connection unless the body has ended or was finished with. */
  cancel(): void;
}

/** HTTP to providers of models, over connections that are kept and used again. */
export interface ProviderHttp {
  /**
   * Resolves with the head of the response, whatever its status; redirects are not followed. Rejects with
   * `provider_unreachable` when no connection can be made, `stream_interrupted` when it breaks before the head has come,
   * `provider_invalid_response` when what comes is no HTTP, and with the signal's reason as soon as it aborts.
   */
  send(call: ProviderCall): Promise<ProviderResponse>;
  /** Closes all connections. */
  stop(): Promise<void>;
}
