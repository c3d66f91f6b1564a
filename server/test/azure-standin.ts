import type { ServerResponse } from 'node:http';
import {
  type HttpStandin,
  type SeenRequest,
  sendEvents,
  sendJson,
  startHttpStandin,
  vectorOf,
} from './http-standin.ts';

export const AZURE_KEY = '0123456789abcdef0123456789abcdef';
export const AZURE_SECRET_WORDS = 'your-resource-endpoint';

const SAFE = { filtered: false, severity: 'safe' };
const NO_FAULT = { hate: SAFE, self_harm: SAFE, sexual: SAFE, violence: SAFE };

/**
 * Azure OpenAI with the deployments `my-gpt` and `vectors`, in the form of its answers: a key in `api-key`, a chunk about
 * the prompt before all others, results of the content filter in each, and its words for a wrong key, an unknown
 * deployment, limits (every first call of the deployment `busy`) and what its filter refuses.
 */
export function startAzureStandin(): Promise<HttpStandin> {
  let busyCalls = 0;
  return startHttpStandin((request, response) => {
    const url = new URL(request.path, 'http://azure');
    const [, deployment, route] = /^\/openai\/deployments\/([^/]+)\/(.+)$/.exec(url.pathname) ?? [];
    if (request.headers['api-key'] !== AZURE_KEY) {
      refuseKey(response);
      return;
    }
    if (url.searchParams.get('api-version') === null || deployment === undefined) {
      sendJson(response, 404, { error: { code: '404', message: 'Resource not found' } });
      return;
    }
    const name = decodeURIComponent(deployment);
    if (name === 'busy') {
      busyCalls += 1;
      if (busyCalls % 2 === 1) {
        limit(response);
        return;
      }
    }
    if (name === 'vectors' && route === 'embeddings') {
      embed(request, response);
      return;
    }
    if (['my-gpt', 'busy'].includes(name) && route === 'chat/completions') {
      chat(request, response);
      return;
    }
    const message = `The API deployment for this resource does not exist (${AZURE_SECRET_WORDS}).`;
    sendJson(response, 404, { error: { code: 'DeploymentNotFound', message } });
  });
}

function refuseKey(response: ServerResponse): void {
  const message = `Access denied due to invalid subscription key or wrong API endpoint (${AZURE_SECRET_WORDS}).`;
  sendJson(response, 401, { error: { code: '401', message } });
}

function limit(response: ServerResponse): void {
  const message = 'Requests to the ChatCompletions_Create Operation have exceeded the call rate limit of your tier.';
  response.setHeader('retry-after', '1');
  response.setHeader('retry-after-ms', '50');
  sendJson(response, 429, { error: { code: '429', message } });
}

function chat({ body }: SeenRequest, response: ServerResponse): void {
  const messages = body['messages'] as readonly { readonly content: string }[];
  if (messages.at(-1)?.content.includes('forbidden') === true) {
    filter(response);
    return;
  }
  const frame = {
    id: 'chatcmpl-AzUrE',
    object: 'chat.completion.chunk',
    created: 1_790_000_000,
    model: 'gpt-4o-2024-11-20',
    system_fingerprint: 'fp_ee1d74bde0',
  };
  const piece = (delta: object, finishReason: string | null = null) => ({
    ...frame,
    choices: [{ index: 0, delta, finish_reason: finishReason, logprobs: null, content_filter_results: NO_FAULT }],
  });
  const about = [
    { prompt_index: 0, content_filter_results: { ...NO_FAULT, jailbreak: { filtered: false, detected: false } } },
  ];
  sendEvents(response, [
    { choices: [], created: 0, id: '', model: '', object: '', prompt_filter_results: about },
    piece({ role: 'assistant', content: '', refusal: null }),
    piece({ content: 'Hello' }),
    piece({ content: ' from Azure' }),
    piece({}, 'stop'),
    { ...frame, choices: [], usage: { prompt_tokens: 22, completion_tokens: 3, total_tokens: 25 } },
  ]);
}

function filter(response: ServerResponse): void {
  sendJson(response, 400, {
    error: {
      message: "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
      type: null,
      param: 'prompt',
      code: 'content_filter',
      status: 400,
      innererror: {
        code: 'ResponsibleAIPolicyViolation',
        content_filter_result: { ...NO_FAULT, hate: { filtered: true, severity: 'high' } },
      },
    },
  });
}

function embed({ body }: SeenRequest, response: ServerResponse): void {
  const texts = [body['input']].flat().map(String);
  const data = texts.map((text, index) => {
    const bytes = Buffer.from(Float32Array.from(vectorOf(text)).buffer);
    return { object: 'embedding', index, embedding: bytes.toString('base64') };
  });
  const usage = { prompt_tokens: 9, total_tokens: 9 };
  sendJson(response, 200, { object: 'list', data, model: 'text-embedding-3-small', usage });
}
