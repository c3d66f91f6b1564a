import type { Dispatcher } from 'undici';
import { describe, expect, it } from 'vitest';
import type { ProviderResponse } from '../../llm/index.ts';
import { createExchange } from './exchange.ts';

const MOST_WAITING_BYTES = 256 * 1024;

/** A connection that a test speaks through, and that says whether it was held up. */
async function connect() {
  let handler: Dispatcher.DispatchHandler = {};
  const connection = { paused: false, aborted: false };
  const controller = {
    get paused() {
      return connection.paused;
    },
    pause: () => {
      connection.paused = true;
    },
    resume: () => {
      connection.paused = false;
    },
    abort: () => {
      connection.aborted = true;
    },
  } as unknown as Dispatcher.DispatchController;
  const dispatcher = {
    dispatch(_options: unknown, given: Dispatcher.DispatchHandler) {
      handler = given;
      return true;
    },
  } as unknown as Dispatcher;
  const asked = createExchange(dispatcher, { url: 'http://model.test/v1', headers: {}, body: '{}' });
  handler.onRequestStart?.(controller, {});
  handler.onResponseStart?.(controller, 200, {}, 'OK');
  const response: ProviderResponse = await asked;
  return {
    connection,
    response,
    send: (piece: Buffer) => handler.onResponseData?.(controller, piece),
    end: () => handler.onResponseEnd?.(controller, {}),
  };
}

describe('an exchange with a provider', () => {
  const token = Buffer.from('data: {"choices":[{"delta":{"content":" word"}}]}\n\n');
  const TOKENS = 400_000;

  it('holds the provider up when nobody reads, until somebody does', async () => {
    const { connection, response, send } = await connect();
    let waiting = 0;
    for (let sent = 0; sent < TOKENS && !connection.paused; sent += 1) {
      send(token);
      waiting += token.byteLength;
    }
    expect(connection.paused).toBe(true);
    expect(waiting).toBeLessThanOrEqual(MOST_WAITING_BYTES + token.byteLength);
    const pieces = await response.read();
    expect(pieces?.reduce((sum, piece) => sum + piece.byteLength, 0)).toBe(waiting);
    expect(connection.paused).toBe(false);
  });

  it('loses nothing of a long stream that is held up again and again', async () => {
    const { connection, response, send, end } = await connect();
    let [sent, read, most] = [0, 0, 0];
    while (sent < TOKENS) {
      let waiting = 0;
      for (; sent < TOKENS && !connection.paused; sent += 1) {
        send(token);
        waiting += token.byteLength;
      }
      most = Math.max(most, waiting);
      read += (await response.read())?.reduce((sum, piece) => sum + piece.byteLength, 0) ?? 0;
    }
    end();
    expect(await response.read()).toBeNull();
    expect(read).toBe(TOKENS * token.byteLength);
    expect(most).toBeLessThanOrEqual(MOST_WAITING_BYTES + token.byteLength);
  });

  it('closes a connection that is held up when its reader leaves, and keeps nothing of it', async () => {
    const { connection, response, send } = await connect();
    while (!connection.paused) send(token);
    response.cancel();
    expect(connection.aborted).toBe(true);
    await expect(response.read()).rejects.toMatchObject({ code: 'request_aborted' });
  });
});
