/** Where a ChatSphere AI server is, and who asks. */
export interface ChatSphereConnection {
  /** `https://chat.example.com`, with or without `/v1`. */
  readonly baseUrl: string;
  /** A key with the scope `search` (retriever) or `chat` (chat model). */
  readonly apiKey: string;
  /** Id or slug of the bot. */
  readonly bot: string;
  /** Replaces Node's own. */
  readonly fetch?: typeof globalThis.fetch;
}

/** What the server answered in place of what was asked for. `status` is what LangChain's retries go by. */
export class ChatSphereError extends Error {
  override readonly name = 'ChatSphereError';
  /** HTTP status; 0 when the answer broke off. */
  readonly status: number;
  /** As docs/errors.md explains it. */
  readonly code: string;
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    detail: { readonly status: number; readonly code: string; readonly retryAfterMs?: number | undefined },
  ) {
    super(message);
    this.status = detail.status;
    this.code = detail.code;
    this.retryAfterMs = detail.retryAfterMs;
  }
}

export interface ChatSphereCall {
  /** Below `/v1`. */
  readonly path: string;
  readonly body: object;
  readonly signal?: AbortSignal | undefined;
}

/** Posts JSON. Resolves with a 2xx response whose body is unread; rejects with a ChatSphereError, or the signal's reason. */
export async function callChatSphere(connection: ChatSphereConnection, call: ChatSphereCall): Promise<Response> {
  const { fetch = globalThis.fetch } = connection;
  const root = connection.baseUrl.replace(/\/+$/, '').replace(/\/v1$/, '');
  const response = await fetch(`${root}/v1${call.path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${connection.apiKey}` },
    body: JSON.stringify(call.body),
    signal: call.signal ?? null,
  });
  if (response.ok) return response;
  const body: unknown = await response.json().catch(() => null);
  throw toChatSphereError(body, response);
}

/** The error in a body of the server, or in an event of its stream. */
export function toChatSphereError(body: unknown, response?: Response): ChatSphereError {
  const error = (body as { readonly error?: { readonly message?: string; readonly code?: string } } | null)?.error;
  const seconds = Number.parseFloat(response?.headers.get('retry-after') ?? '');
  return new ChatSphereError(error?.message ?? `ChatSphere AI answered with status ${response?.status ?? 0}.`, {
    status: response?.status ?? 0,
    code: error?.code ?? 'unknown',
    retryAfterMs: seconds >= 0 ? seconds * 1000 : undefined,
  });
}

/** The data of the events in a stream of the server, as they come. */
export async function* readEventData(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of body) {
    const events = (rest + decoder.decode(bytes, { stream: true })).split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events) {
      const lines = event.split('\n').filter((line) => line.startsWith('data:'));
      if (lines.length > 0) yield lines.map((line) => line.slice(5).trimStart()).join('\n');
    }
  }
}
