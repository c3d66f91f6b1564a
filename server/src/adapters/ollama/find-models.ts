import { field, items, type ProviderHttp, readJsonBody, textOrNull } from '../../llm/index.ts';

export interface OllamaAddress {
  readonly http: ProviderHttp;
  /** Without `/v1`: `http://127.0.0.1:11434`. */
  readonly baseUrl: string;
  readonly apiKey?: string | null;
  /** How long it may take to answer, in milliseconds. */
  readonly withinMs: number;
}

const LARGEST_LIST_BYTES = 1024 * 1024;

/** Models that make vectors and cannot talk. */
const EMBEDS_ONLY = /embed|minilm|(?:^|[-/])(?:bge|gte|e5)(?:[-:]|$)|rerank/i;

/**
 * The chat models that an Ollama server has installed, latest first; null when no Ollama answers there in time.
 */
export async function findOllamaModels(address: OllamaAddress): Promise<readonly string[] | null> {
  const { http, baseUrl, apiKey = null, withinMs } = address;
  const signal = AbortSignal.timeout(withinMs);
  const headers: Record<string, string> = apiKey === null ? {} : { authorization: `Bearer ${apiKey}` };
  try {
    const response = await http.send({ url: `${baseUrl}/api/tags`, headers, body: null, signal });
    try {
      if (response.status !== 200) return null;
      const models = field(await readJsonBody(response, LARGEST_LIST_BYTES), 'models');
      return Array.isArray(models) ? chatModelsOf(models) : null;
    } finally {
      response.cancel();
    }
  } catch {
    return null;
  }
}

function chatModelsOf(models: readonly unknown[]): readonly string[] {
  return models
    .filter((model) => !isEmbedder(model))
    .map((model) => textOrNull(field(model, 'name')) ?? '')
    .filter((name) => /^[^\s/]\S*$/.test(name));
}

function isEmbedder(model: unknown): boolean {
  const families = items(field(field(model, 'details'), 'families'));
  return families.some((family) => /bert/i.test(String(family))) || EMBEDS_ONLY.test(String(field(model, 'name')));
}
