import { request as httpRequest, type IncomingMessage } from 'node:http';
import { ADMIN_KEY, type BuiltServer, callServer, startBuiltServer } from './built-server.ts';
import {
  type Standin,
  type StandinFault,
  type StandinSettings,
  startStandin,
  UPSTREAM_TEXT,
} from './openai-standin.ts';

/** Short, so that a row that waits for one takes no longer than a second. */
const DEADLINES = {
  LLM_CONNECT_TIMEOUT_MS: '500',
  LLM_FIRST_TOKEN_TIMEOUT_MS: '600',
  LLM_IDLE_TOKEN_TIMEOUT_MS: '600',
  LLM_TOTAL_TIMEOUT_MS: '8000',
};

/** A streamed or whole answer as a client sees it. */
export interface Seen {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly text: string;
  readonly finishReason: string | null;
  /** The error object, of the response or of an event in the stream. */
  readonly error: { readonly code: string; readonly message: string; readonly type: string } | null;
  /** How many events were errors. */
  readonly errors: number;
  /** `[DONE]` came. */
  readonly done: boolean;
  readonly degraded: readonly string[];
  readonly usage: unknown;
  readonly raw: string;
  readonly milliseconds: number;
}

export interface FaultBed {
  readonly standin: Standin;
  readonly server: BuiltServer;
  /** A new bot, which asks a model of its own: no row finds a circuit that another one has opened. */
  bot(settings?: Readonly<Record<string, unknown>>): Promise<{ readonly id: string; readonly model: string }>;
  /** Asks the bot while its model misbehaves. */
  ask(bot: { readonly id: string; readonly model: string }, how: Asking): Promise<Seen>;
  /** Calls of the model so far. */
  calls(model: string): number;
  stop(): Promise<void>;
}

export interface Asking {
  readonly stream: boolean;
  readonly faults?: readonly StandinFault[];
  /** Of every call that `faults` does not name. */
  readonly always?: StandinFault;
}

export async function startFaultBed(
  env: Readonly<Record<string, string>> = {},
  settings: Partial<StandinSettings> = {},
): Promise<FaultBed> {
  const standin = await startStandin(settings);
  const server = await startBuiltServer({
    env: {
      OPENAI_BASE_URL: standin.url,
      OPENAI_API_KEY: 'sk-first',
      CHAT_MODEL: 'openai/gpt-test',
      EMBEDDING_MODEL: 'local/static-en',
      EMBEDDING_FOLLOWER: 'off',
      ...DEADLINES,
      LOG_LEVEL: 'silent',
      ...env,
    },
  });
  let made = 0;
  return {
    standin,
    server,
    async bot(more = {}) {
      made += 1;
      const model = `model-${made}`;
      const { status, body } = await callServer(server, {
        path: '/v1/bots',
        json: { name: `Bot ${made}`, model: `openai/${model}`, ...more },
      });
      if (status >= 300) throw new Error(JSON.stringify(body));
      return { id: String(body['id']), model };
    },
    async ask({ id, model }, { stream, faults = [], always = 'none' }) {
      Object.assign(standin.settings, { faultModels: [model], nextFaults: [...faults], fault: always });
      return askServer(server.url, { model: id, stream });
    },
    calls: (model) => standin.requests.filter(({ body }) => body['model'] === model).length,
    async stop() {
      await server.stop();
      await standin.stop();
    },
  };
}

/** Asks once and reads to the end, whatever comes. */
export async function askServer(
  url: string,
  { model, stream, question = 'Hi' }: { readonly model: string; readonly stream: boolean; readonly question?: string },
): Promise<Seen> {
  const startedAt = performance.now();
  const body = {
    model,
    stream,
    ...(stream ? { stream_options: { include_usage: true } } : {}),
    messages: [{ role: 'user', content: question }],
  };
  const response = await open(url, body).response;
  let raw = '';
  for await (const part of response.setEncoding('utf8')) raw += part;
  const milliseconds = performance.now() - startedAt;
  const isStream = (response.headers['content-type'] ?? '').startsWith('text/event-stream');
  const status = response.statusCode ?? 0;
  const headers = response.headers as Seen['headers'];
  return { status, headers, raw, milliseconds, ...(isStream ? readStream(raw) : readWhole(raw)) };
}

/** A request that can be left. */
export function open(url: string, body: Readonly<Record<string, unknown>>) {
  const text = JSON.stringify(body);
  const request = httpRequest(`${url}/v1/chat/completions`, {
    method: 'POST',
    agent: false,
    headers: {
      authorization: `Bearer ${ADMIN_KEY}`,
      'content-type': 'application/json',
      'x-chatsphere-cache': 'off',
      'content-length': Buffer.byteLength(text),
    },
  });
  const response = new Promise<IncomingMessage>((resolve, reject) => {
    request.on('response', resolve).on('error', reject);
  });
  response.catch(() => {});
  request.end(text);
  return { response, leave: () => void request.destroy() };
}

type Read = Omit<Seen, 'status' | 'headers' | 'raw' | 'milliseconds'>;

function readWhole(raw: string): Read {
  const body = JSON.parse(raw);
  const message = body.choices?.[0]?.message;
  return {
    text: message?.content ?? '',
    finishReason: body.choices?.[0]?.finish_reason ?? null,
    error: body.error ?? null,
    errors: body.error === undefined ? 0 : 1,
    done: body.error === undefined,
    degraded: message?.chatsphere?.degraded ?? [],
    usage: body.usage ?? null,
  };
}

/** Every line must be whole JSON, or `[DONE]`: a torn or foreign one throws. */
function readStream(raw: string): Read {
  const lines = raw.split('\n').flatMap((line) => (line.startsWith('data: ') ? [line.slice(6)] : []));
  const events = lines.filter((line) => line !== '[DONE]').map((line) => JSON.parse(line));
  const errors = events.filter(({ error }) => error !== undefined);
  const deltas = events.flatMap(({ choices }) => choices?.[0] ?? []);
  return {
    text: deltas.map(({ delta }) => delta?.content ?? '').join(''),
    finishReason: deltas.findLast((choice) => choice.finish_reason)?.finish_reason ?? null,
    error: errors[0]?.error ?? null,
    errors: errors.length,
    done: lines.at(-1) === '[DONE]',
    degraded: deltas.findLast(({ delta }) => delta?.chatsphere)?.delta.chatsphere.degraded ?? [],
    usage: events.findLast(({ usage }) => usage)?.usage ?? null,
  };
}

/** Nothing of what the provider wrote is in it. */
export function holdsNothingForeign({ raw, headers }: Pick<Seen, 'raw' | 'headers'>): boolean {
  return ![UPSTREAM_TEXT, 'req_upstream', '<html', 'sk-'].some((text) =>
    (raw + JSON.stringify(headers)).includes(text),
  );
}
