import { type Clock, type JsonValue, systemClock } from '../../kernel/index.ts';
import {
  type ProviderFailure,
  type ProviderHttp,
  type ProviderResponse,
  readFailure,
  toProviderError,
} from '../../llm/index.ts';

/** Where a server that speaks OpenAI's protocol is, and who calls it. */
export interface OpenAiConnection {
  readonly http: ProviderHttp;
  /** With the version: `https://api.openai.com/v1`. For Azure the resource: `https://NAME.openai.azure.com`. */
  readonly baseUrl: string;
  /** Null for servers that take calls without one. */
  readonly apiKey: string | null;
  /** Present for Azure, whose addresses name the deployment (the model) and this version of the API. */
  readonly azureApiVersion?: string;
  readonly clock?: Clock;
}

export interface OpenAiClient {
  /**
   * Posts JSON. Resolves with a 2xx response whose body is unread; rejects with an AppError, or the signal's reason.
   * `onRefused` looks at a failure first: what it returns is sent instead, null leaves it at the failure.
   */
  post(body: JsonValue, options: PostOptions): Promise<ProviderResponse>;
}

export interface PostOptions {
  readonly signal: AbortSignal | undefined;
  readonly onRefused?: (failure: ProviderFailure) => JsonValue | null;
}

/** HTTP to one route (`chat/completions`) of a provider, for one of its models. */
export function createOpenAiClient(
  { http, baseUrl, apiKey, azureApiVersion, clock = systemClock }: OpenAiConnection,
  { model, route }: { readonly model: string; readonly route: string },
): OpenAiClient {
  const base = baseUrl.replace(/\/+$/, '');
  const url =
    azureApiVersion === undefined
      ? `${base}/${route}`
      : `${base}/openai/deployments/${encodeURIComponent(model)}/${route}?api-version=${encodeURIComponent(azureApiVersion)}`;
  const headers = { 'content-type': 'application/json', ...keyHeader(apiKey, azureApiVersion !== undefined) };

  async function post(body: JsonValue, { signal, onRefused }: PostOptions): Promise<ProviderResponse> {
    const response = await http.send({
      url,
      headers,
      body: JSON.stringify(body),
      ...(signal === undefined ? {} : { signal }),
    });
    if (response.status >= 200 && response.status < 300) return response;
    const failure = await readFailure(response, clock.now());
    signal?.throwIfAborted();
    const instead = onRefused?.(failure) ?? null;
    if (instead === null) throw toProviderError(failure);
    return post(instead, { signal });
  }

  return { post };
}

function keyHeader(apiKey: string | null, isAzure: boolean): Record<string, string> {
  if (apiKey === null) return {};
  return isAzure ? { 'api-key': apiKey } : { authorization: `Bearer ${apiKey}` };
}
