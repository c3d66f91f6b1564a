import { AppError } from '../../kernel/index.ts';
import type { Batch } from '../../resilience/index.ts';
import type { AnswerEvent } from '../ports.ts';
import type { AnswerStream, KeptStream, StreamName } from './ports.ts';
import { brokenOff } from './taken-up-stream.ts';

export interface Successors {
  /** The stream as this process goes on with it, whose maker is gone; null: it cannot take it up. */
  takeUp(name: StreamName): Promise<AnswerStream | null>;
  find(name: StreamName): Promise<KeptStream | null>;
  /** Counts who reads here: see `AnswerStreams`. */
  enter(abort: (reason: AppError) => void): () => void;
}

/** So many readings that bring nothing new, each of a maker that is gone, are enough. */
const MOST_IN_VAIN = 3;

/**
 * A stream that another process makes, or made. When that is gone while it is read, this process takes it up, or follows
 * who has.
 */
export function followStream(kept: KeptStream, successors: Successors): AnswerStream {
  /** As far as was seen somebody may still go on with it. */
  let mayGoOn = false;

  async function* read({ signal, after = 0 }: ReadOptions = {}): AsyncGenerator<Batch<AnswerEvent>> {
    const stop = new AbortController();
    const within = { signal: signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]) };
    const leave = successors.enter((reason) => stop.abort(reason));
    let given = 0;
    async function* fresh(batches: AsyncIterable<Batch<AnswerEvent>>): AsyncGenerator<Batch<AnswerEvent>> {
      for await (const { first, items } of batches) {
        const rest = items.slice(Math.max(0, given + 1 - first));
        if (rest.length === 0) continue;
        const next = given + 1;
        given = first + items.length - 1;
        yield { first: next, items: rest };
      }
    }
    try {
      let inVain = 0;
      for (let current: Pick<KeptStream, 'isOver' | 'read'> = kept; ; ) {
        const before = given;
        let broken: AppError;
        try {
          yield* fresh(current.read(within));
          return;
        } catch (error) {
          signal?.throwIfAborted();
          mayGoOn = stop.signal.aborted;
          if (mayGoOn || current.isOver || !(error instanceof AppError)) throw error;
          mayGoOn = error.code === 'server_draining';
          if (error.code !== 'stream_interrupted') throw error;
          // Whoever has more of it than was kept would get another text behind that.
          if (after > given) throw brokenOff();
          broken = error;
        }
        mayGoOn = true;
        const ours = await successors.takeUp(kept.about);
        if (ours !== null) {
          yield* ourPart(ours);
          return;
        }
        const theirs = await successors.find(kept.about);
        inVain = given === before ? inVain + 1 : 0;
        mayGoOn = theirs === null || inVain >= MOST_IN_VAIN;
        if (theirs === null || inVain >= MOST_IN_VAIN) throw broken;
        current = theirs;
      }
    } finally {
      leave();
    }

    async function* ourPart(ours: AnswerStream): AsyncGenerator<Batch<AnswerEvent>> {
      try {
        yield* fresh(ours.read(within));
      } catch (error) {
        mayGoOn = stop.signal.aborted || (error instanceof AppError && ours.canResume(error));
        throw error;
      }
    }
  }

  return {
    about: kept.about,
    isLive: false,
    used: () => null,
    canResume: () => mayGoOn,
    settled: Promise.resolve(),
    read,
  };
}

type ReadOptions = Parameters<AnswerStream['read']>[0];
