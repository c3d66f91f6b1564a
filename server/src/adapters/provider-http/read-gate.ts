import type { Socket } from 'node:net';

/**
 * Lets the tokens of many streams gather in the kernel, so that several of them cost one read, one parse and one write.
 * With few streams it does nothing.
 */
export interface ReadGate {
  /** Takes over when a connection reads. Its readable side must have a high-water mark of one byte. */
  admit(socket: Socket): void;
}

export interface ReadGateOptions {
  /** How many answers are under way. */
  readonly live: () => number;
}

/** What a token waits at most: of 20 a second, three come together then. */
const LONGEST_WAIT_MS = 150;
/** A millisecond of waiting for so many streams; with fewer than `FEWEST` there is none. */
const STREAMS_A_MILLISECOND = 8;
const FEWEST = 160;
/** The head of a response and what comes first is read at once. */
const FREE_READS = 4;
/** A sender that has so much at once is in no need of waiting. */
const LARGE_BYTES = 8 * 1024;
/** Reads that are due within so many milliseconds are made in one go. */
const TICK_MS = 5;
/** Reads of one turn of the event loop. A turn takes in one new connection: long turns would keep clients waiting at the door. */
const READS_A_TURN = 48;

interface WaitingRead {
  readonly dueAt: number;
  readonly read: () => void;
}

/**
 * A connection that has been read is read again only when its wait is over: up to then its bytes stay in the kernel. The
 * wait grows with the answers that are under way, and one timer serves all of them, whose reads are spread over time as
 * their tokens are.
 */
export function createReadGate({ live }: ReadGateOptions): ReadGate {
  /** In the order in which they are due, about: all wait equally long. */
  let waiting: WaitingRead[] = [];
  let first = 0;
  let isTicking = false;

  function waitMs(): number {
    const streams = live();
    return streams < FEWEST ? 0 : Math.min(LONGEST_WAIT_MS, streams / STREAMS_A_MILLISECOND);
  }

  function tick(): void {
    isTicking = false;
    const now = performance.now();
    const last = first + READS_A_TURN;
    for (let next = waiting[first]; first < last && next !== undefined && next.dueAt <= now; next = waiting[first]) {
      first += 1;
      next.read();
    }
    if (first === waiting.length || first > 4096) {
      waiting = waiting.slice(first);
      first = 0;
    }
    const next = waiting[first];
    if (next !== undefined) tickAfter(next.dueAt <= now ? 0 : next.dueAt - now);
  }

  function tickAfter(milliseconds: number): void {
    if (isTicking) return;
    isTicking = true;
    setTimeout(tick, milliseconds === 0 ? 0 : Math.max(TICK_MS, milliseconds));
  }

  function readAfter(milliseconds: number, read: () => void): void {
    waiting.push({ dueAt: performance.now() + milliseconds, read });
    tickAfter(milliseconds);
  }

  return {
    admit(socket) {
      const read = socket._read.bind(socket);
      let sent = 0;
      let received = 0;
      let reads = 0;
      // What Node calls once its buffer is empty: the place that streams have for saying where their bytes come from.
      socket._read = (size) => {
        const isNewCall = socket.bytesWritten !== sent;
        const bytes = socket.bytesRead - received;
        sent = socket.bytesWritten;
        received = socket.bytesRead;
        reads = isNewCall ? 1 : reads + 1;
        const wait = reads <= FREE_READS || bytes >= LARGE_BYTES ? 0 : waitMs();
        if (wait === 0) read(size);
        else readAfter(wait, () => socket.destroyed || read(size));
      };
    },
  };
}
