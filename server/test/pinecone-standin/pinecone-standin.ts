import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { answerControl } from './control-plane.ts';
import { answerData } from './data-plane.ts';
import { fail, type PineconeFault, type PineconeSettings, Refusal, struckBy } from './standin-faults.ts';
import type { PineconeRequest, StandinIndex } from './standin-shapes.ts';

export type { PineconeFault, PineconeSettings } from './standin-faults.ts';
export type { PineconeRequest } from './standin-shapes.ts';

export interface PineconeStandin {
  /** The address of the control plane. */
  readonly url: string;
  /** May be changed at any time. */
  readonly settings: PineconeSettings;
  readonly requests: readonly PineconeRequest[];
  readonly indexes: ReadonlyMap<string, StandinIndex>;
  /** The address of an index, as a deployment would set it. */
  hostOf(index: string): string;
  /** What an index holds once all writes are through: ids by namespace. */
  contentOf(index: string): Readonly<Record<string, readonly string[]>>;
  /** Requests that are neither answered nor left. */
  open(): number;
  /** Most requests that were under way at once. */
  mostAtOnce(): number;
  stop(): Promise<void>;
}

/**
 * A stand-in for Pinecone's REST API (version 2025-01): the control plane on one port and each index on a port of its own, with
 * the published limits, log sequence numbers and delayed visibility. It misbehaves as its settings say.
 */
export async function startPineconeStandin(changes: Partial<PineconeSettings> = {}): Promise<PineconeStandin> {
  const settings: PineconeSettings = {
    apiKey: 'pcsk_standin',
    faults: [],
    always: 'none',
    struck: null,
    retryAfterSeconds: 0,
    lagReads: 0,
    lagMs: 0,
    sendsLsn: true,
    readyAfterDescribes: 0,
    ...changes,
  };
  const requests: PineconeRequest[] = [];
  const indexes = new Map<string, StandinIndex>();
  const hosts = new Map<string, Server>();
  const sockets = new Set<Socket>();
  let open = 0;
  let most = 0;

  async function listen(index: StandinIndex | null): Promise<Server> {
    const server = createServer((request, response) => {
      open += 1;
      most = Math.max(most, open);
      response.on('close', () => {
        open -= 1;
      });
      answer(index, request, response).catch(() => response.destroy());
    });
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  async function answer(index: StandinIndex | null, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://standin');
    const { bytes, body } = await readBody(request);
    const header = (name: string): string | undefined => request.headers[name]?.toString();
    const call: PineconeRequest = {
      plane: index === null ? 'control' : 'data',
      index: index?.name ?? null,
      method: request.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      body,
      bytes,
      apiKey: header('api-key'),
      apiVersion: header('x-pinecone-api-version'),
    };
    requests.push(call);
    const fault: PineconeFault = struckBy(call, settings);
    if (fault !== 'none' && fail(response, fault, settings)) return;
    try {
      if (call.apiKey !== settings.apiKey) throw new Refusal(401, 'Invalid API Key');
      const { status, headers, json } =
        index === null
          ? await answerControl(call, { settings, indexes, open: host })
          : answerData(call, index, settings);
      const text = json === null ? '' : JSON.stringify(json);
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      if (fault === 'cut-body') {
        response.write(text.slice(0, text.length / 2));
        response.destroy();
      } else response.end(text);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      response.writeHead(error.status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(error.toJson(call.plane)));
    }
  }

  async function host(index: StandinIndex): Promise<string> {
    const server = await listen(index);
    hosts.set(index.name, server);
    return addressOf(server);
  }

  const control = await listen(null);
  return {
    url: `http://${addressOf(control)}`,
    settings,
    requests,
    indexes,
    hostOf: (name) => `http://${indexes.get(name)?.host ?? ''}`,
    contentOf: (name) =>
      Object.fromEntries([...(indexes.get(name)?.namespaces ?? [])].map(([key, space]) => [key, space.newestIds()])),
    open: () => open,
    mostAtOnce: () => most,
    async stop() {
      const closed = [control, ...hosts.values()].map(
        (server) => new Promise<void>((resolve) => server.close(() => resolve())),
      );
      for (const socket of sockets) socket.destroy();
      await Promise.all(closed);
    },
  };
}

function addressOf(server: Server): string {
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function readBody(
  request: IncomingMessage,
): Promise<{ readonly bytes: number; readonly body: Record<string, unknown> }> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  const whole = Buffer.concat(parts);
  return { bytes: whole.length, body: whole.length === 0 ? {} : JSON.parse(whole.toString()) };
}
