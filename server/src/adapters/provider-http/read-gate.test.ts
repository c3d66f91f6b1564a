import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createReadGate } from './read-gate.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** A connection that says when it was read. */
function connection({ live }: { readonly live: () => number }) {
  const startedAt = performance.now();
  const readsAt: number[] = [];
  const socket = {
    bytesRead: 0,
    bytesWritten: 100,
    destroyed: false,
    _read() {
      readsAt.push(Math.round(performance.now() - startedAt));
    },
  };
  createReadGate({ live }).admit(socket as unknown as Socket);
  return {
    socket,
    readsAt,
    /** A piece came, and Node asks for the next one. */
    consumed(bytes = 200) {
      socket.bytesRead += bytes;
      socket._read();
    },
  };
}

describe('read gate', () => {
  test('few streams are read at once, always', () => {
    const { consumed, readsAt } = connection({ live: () => 100 });
    for (let piece = 0; piece < 20; piece += 1) consumed();
    expect(readsAt).toEqual(Array.from({ length: 20 }, () => 0));
  });

  test('of many, what comes first of an answer is read at once, and the rest after a wait that grows with them', () => {
    let live = 800;
    const { consumed, readsAt } = connection({ live: () => live });
    for (let piece = 0; piece < 5; piece += 1) consumed();
    expect(readsAt).toEqual([0, 0, 0, 0]);
    vi.advanceTimersByTime(101);
    expect(readsAt.at(-1)).toBe(100);
    live = 100_000;
    consumed();
    vi.advanceTimersByTime(149);
    expect(readsAt).toHaveLength(5);
    vi.advanceTimersByTime(2);
    expect(readsAt).toHaveLength(6);
  });

  test('the next call on the same connection begins afresh', () => {
    const { consumed, readsAt, socket } = connection({ live: () => 2000 });
    for (let piece = 0; piece < 5; piece += 1) consumed();
    vi.advanceTimersByTime(200);
    socket.bytesWritten += 100;
    const before = readsAt.length;
    for (let piece = 0; piece < 4; piece += 1) consumed();
    expect(readsAt.length - before).toBe(4);
  });

  test('a sender that has much at once is read at once', () => {
    const { consumed, readsAt } = connection({ live: () => 2000 });
    for (let piece = 0; piece < 50; piece += 1) consumed(16_384);
    expect(readsAt).toHaveLength(50);
  });

  test('a connection that was closed meanwhile is not read, and no timer is left', () => {
    const { consumed, readsAt, socket } = connection({ live: () => 2000 });
    for (let piece = 0; piece < 5; piece += 1) consumed();
    socket.destroyed = true;
    vi.advanceTimersByTime(200);
    expect(readsAt).toHaveLength(4);
    expect(vi.getTimerCount()).toBe(0);
  });
});
