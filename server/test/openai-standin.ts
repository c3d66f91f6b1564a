import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { failAtOnce, refuse, serve, wasCut } from './standin-answers.ts';
import type { StandinRequest, StandinSettings } from './standin-settings.ts';

export { standinVector, UPSTREAM_TEXT } from './standin-answers.ts';
export type { StandinFault, StandinRequest, StandinSettings } from './standin-settings.ts';

export interface Standin {
  /** Base URL with `/v1`. */
  readonly url: string;
  /** May be changed at any time. */
  readonly settings: StandinSettings;
  readonly requests: readonly StandinRequest[];
  /** Tokens sent in streams so far. */
  readonly sent: { tokens: number };
  /** Resolves once a call has come in (the `count`th since the start). */
  untilRequest(count?: number): Promise<void>;
  /** Resolves with the time (`performance.now()`) when a client has left the `count`th call that was not answered to its end. */
  untilAbort(count?: number): Promise<number>;
  /** Calls that clients have left so far. */
  aborts(): number;
  /** Calls that are neither answered nor left. */
  open(): number;
  stop(): Promise<void>;
}

/** An OpenAI-compatible server on a free local port that answers with made-up content and misbehaves as told. */
export async function startStandin(changes: Partial<StandinSettings> = {}): Promise<Standin> {
  const settings: StandinSettings = {
    tokens: ['Hello', ' there', ',', ' friend'],
    fault: 'none',
    nextFaults: [],
    faultModels: null,
    afterTokens: 2,
    tokenDelayMs: 0,
    totalTokens: 0,
    rateLimitHeaders: { 'retry-after': '1' },
    apiKey: null,
    dimensions: 1536,
    ...changes,
  };
  const requests: StandinRequest[] = [];
  const arrivals = createTally();
  const aborts = createTally();
  const sockets = new Set<Socket>();
  const sent = { tokens: 0 };
  let open = 0;
  const server = createServer((request, response) => {
    open += 1;
    response.on('close', () => {
      open -= 1;
      if (!response.writableFinished && !wasCut(response)) aborts.add();
    });
    answer(request, response).catch(() => response.destroy());
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = {
      path: request.url ?? '',
      authorization: request.headers.authorization,
      clientPort: request.socket.remotePort,
      body: await readJson(request),
    };
    requests.push(call);
    arrivals.add();
    const isStruck = settings.faultModels === null || settings.faultModels.includes(String(call.body['model']));
    const fault = isStruck ? (settings.nextFaults.shift() ?? settings.fault) : 'none';
    if (settings.apiKey !== null && call.authorization !== `Bearer ${settings.apiKey}`)
      refuse(response, 'unauthorized');
    else if (!failAtOnce(response, fault, settings)) await serve({ call, response, fault, settings, sent });
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    settings,
    requests,
    sent,
    untilRequest: async (count = 1) => void (await arrivals.until(count)),
    untilAbort: (count = 1) => aborts.until(count),
    aborts: () => aborts.count(),
    open: () => open,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** Counts what happens and lets others wait for it. */
function createTally() {
  const times: number[] = [];
  const waiting: { readonly count: number; readonly resolve: (at: number) => void }[] = [];
  return {
    add(): void {
      times.push(performance.now());
      for (const { count, resolve } of waiting) if (times.length >= count) resolve(times.at(-1) ?? 0);
    },
    count: (): number => times.length,
    until: (count: number): Promise<number> =>
      new Promise((resolve) => {
        const at = times[count - 1];
        if (at === undefined) waiting.push({ count, resolve });
        else resolve(at);
      }),
  };
}

async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  return text === '' ? {} : JSON.parse(text);
}
