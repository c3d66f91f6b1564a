import { once } from 'node:events';
import type { FastifyReply } from 'fastify';
import { type Clock, createWatchdogs, type Watchdogs } from '../kernel/index.ts';
import { abortOfClient } from './request-context.ts';

/** Proxies close connections that are silent for longer. */
const HEARTBEAT_MS = 15_000;
/** A reader that takes nothing for this long is gone. */
const STALL_MS = 60_000;

export interface StreamFrame {
  /** One line of text; see `toLine`. */
  readonly data: string;
  readonly event?: string;
  readonly id?: string;
}

/** Server-sent events to one client (WHATWG HTML, 9.2). Nothing is committed until `open`, or until 15 silent seconds have passed. */
export interface EventStream {
  /** Aborts when the client leaves or stops reading. */
  readonly signal: AbortSignal;
  readonly isOpen: () => boolean;
  /** Sends status 200 and the headers, once. */
  open(headers?: Readonly<Record<string, string>>): void;
  /**
   * Sends frames as they are. Undefined when the connection can take more, which is the rule: then nothing is allocated
   * for it; else a promise as of `send`. Throws as `send` rejects.
   */
  write(frames: string): Promise<void> | undefined;
  /** Resolves when the connection can take more; rejects with the signal's reason when the client has left. */
  send(frame: StreamFrame): Promise<void>;
  /** Ends the stream if it is open. Always call it: it stops the heartbeat. */
  close(): void;
}

/** Opens event streams whose heartbeats share one timer. */
export interface EventStreams {
  create(reply: FastifyReply): EventStream;
}

export function createEventStreams(clock: Clock): EventStreams {
  const heartbeats = createWatchdogs(clock, HEARTBEAT_MS);
  return { create: (reply) => createEventStream(reply, { clock, heartbeats }) };
}

function createEventStream(
  reply: FastifyReply,
  { clock, heartbeats }: { readonly clock: Clock; readonly heartbeats: Watchdogs },
): EventStream {
  const { raw } = reply;
  const { signal } = abortOfClient(reply);
  const heartbeat = heartbeats.create(beat);
  const stopBeating = (): void => heartbeat[Symbol.dispose]();
  signal.addEventListener('abort', stopBeating, { once: true });
  let opened = false;
  let hasWritten = false;
  let lastWriteAt = clock.now();

  function open(headers: Readonly<Record<string, string>> = {}): void {
    if (opened || signal.aborted) return;
    opened = true;
    reply.hijack();
    raw.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
      ...headers,
    });
    // They travel with what is written in the same turn, as it mostly is.
    process.nextTick(() => {
      if (!hasWritten && !raw.destroyed && !raw.writableEnded) raw.flushHeaders();
    });
  }

  function write(frames: string): Promise<void> | undefined {
    open();
    signal.throwIfAborted();
    hasWritten = true;
    lastWriteAt = clock.now();
    return raw.write(frames) ? undefined : drained();
  }

  async function drained(): Promise<void> {
    const waiting = new AbortController();
    clock.sleep(STALL_MS, waiting.signal).then(
      () => raw.destroy(),
      () => {},
    );
    try {
      await once(raw, 'drain', { signal });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      waiting.abort('drained');
    }
  }

  function beat(): void {
    if (clock.now() - lastWriteAt >= HEARTBEAT_MS) {
      open();
      lastWriteAt = clock.now();
      if (!raw.writableNeedDrain && !raw.writableEnded) {
        hasWritten = true;
        raw.write(': heartbeat\n\n');
      }
    }
    listen();
  }

  /** What is written meanwhile is looked at when the time has come. */
  function listen(): void {
    if (!signal.aborted) heartbeat.arm(lastWriteAt + HEARTBEAT_MS, 'write');
  }

  listen();

  return {
    signal,
    isOpen: () => opened,
    open,
    write,
    async send({ data, event, id }) {
      await write(
        `${id === undefined ? '' : `id: ${id}\n`}${event === undefined ? '' : `event: ${event}\n`}data: ${data}\n\n`,
      );
    },
    close() {
      stopBeating();
      if (opened && !raw.destroyed) raw.end();
    },
  };
}

/** JSON on one line: no text inside can end the line and forge an event, whatever a reader takes for a line end. */
export function toLine(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u0085\u2028\u2029]/g,
    (end) => `\\u${end.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
