import type { ServerResponse } from 'node:http';
import {
  type HttpStandin,
  type SeenRequest,
  sendEvents,
  sendJson,
  startHttpStandin,
  vectorOf,
} from './http-standin.ts';

/** As Ollama lists what is installed. */
function installed(name: string, families: readonly string[]) {
  return {
    name,
    model: name,
    modified_at: '2026-10-01T12:00:00.000000001Z',
    size: 2_019_393_189,
    digest: 'a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72',
    details: {
      parent_model: '',
      format: 'gguf',
      family: families[0],
      families,
      parameter_size: '3.2B',
      quantization_level: 'Q4_K_M',
    },
  };
}

/**
 * An Ollama with a chat model and an embedder, in the form of its answers: the list at `/api/tags`, OpenAI's protocol
 * below `/v1` with `fp_ollama`, vectors in base64 or as numbers as they are asked for, and its words for a model that is
 * not there.
 */
export function startOllamaStandin(): Promise<HttpStandin> {
  return startHttpStandin((request, response) => {
    if (request.path === '/api/tags') {
      const models = [installed('nomic-embed-text:latest', ['nomic-bert']), installed('llama3.2:latest', ['llama'])];
      sendJson(response, 200, { models });
    } else if (request.path === '/v1/chat/completions') chat(request, response);
    else if (request.path === '/v1/embeddings') embed(request, response);
    else response.writeHead(404, { 'content-type': 'text/plain' }).end('404 page not found');
  });
}

function chat({ body }: SeenRequest, response: ServerResponse): void {
  const model = String(body['model']);
  if (!model.startsWith('llama3.2')) {
    refuse(response, model);
    return;
  }
  const frame = {
    id: 'chatcmpl-361',
    object: 'chat.completion.chunk',
    created: 1_790_000_000,
    model,
    system_fingerprint: 'fp_ollama',
  };
  const piece = (content: string, finishReason: string | null) => ({
    ...frame,
    choices: [{ index: 0, delta: { role: 'assistant', content }, finish_reason: finishReason }],
  });
  const usage = { prompt_tokens: 31, completion_tokens: 3, total_tokens: 34 };
  const wantsUsage = (body['stream_options'] as { include_usage?: boolean } | undefined)?.include_usage === true;
  sendEvents(response, [
    piece('Hello', null),
    piece(' from', null),
    piece(' Ollama', null),
    piece('', 'stop'),
    ...(wantsUsage ? [{ ...frame, choices: [], usage }] : []),
  ]);
}

function embed({ body }: SeenRequest, response: ServerResponse): void {
  const model = String(body['model']);
  if (!model.startsWith('nomic-embed-text')) {
    refuse(response, model);
    return;
  }
  const texts = [body['input']].flat().map(String);
  const data = texts.map((text, index) => {
    const vector = vectorOf(text);
    const bytes = Buffer.from(Float32Array.from(vector).buffer);
    const embedding = body['encoding_format'] === 'base64' ? bytes.toString('base64') : vector;
    return { object: 'embedding', embedding, index };
  });
  sendJson(response, 200, { object: 'list', data, model, usage: { prompt_tokens: 7, total_tokens: 7 } });
}

function refuse(response: ServerResponse, model: string): void {
  const message = `model "${model}" not found, try pulling it first`;
  sendJson(response, 404, { error: { message, type: 'not_found_error', param: null, code: null } });
}
