import { type Logger, toAppError } from '../../kernel/index.ts';
import type { Batch, Broadcast } from '../../resilience/index.ts';
import type { AnswerEvent } from '../ports.ts';
import type { StreamAbout, StreamBuffer, StreamEnding, StreamMaking } from './ports.ts';

/** Hands what is said to the buffer, in order. A buffer that fails costs the resuming and not the answer. */
export interface StreamRecorder {
  batch(batch: Batch<AnswerEvent>): void;
  /**
   * True: another process may go on with the answer, as this one stops. One that was begun here and said nothing is not kept:
   * its failure is the answer to the request. Never rejects.
   */
  end(broadcast: Broadcast<AnswerEvent>): Promise<boolean>;
}

/** What a stream is written down as: begun with its first event, or taken up behind the events that it has. */
export type Recorded =
  | { readonly type: 'begun'; readonly making: StreamMaking }
  | { readonly type: 'taken up'; readonly told: number };

export function createStreamRecorder(
  { buffer, logger }: { readonly buffer: StreamBuffer; readonly logger: Logger },
  about: StreamAbout,
  recorded: Recorded,
): StreamRecorder {
  const told = recorded.type === 'begun' ? 0 : recorded.told;
  let opened: Promise<void> | null = recorded.type === 'begun' ? null : Promise.resolve();
  let written: Promise<unknown> = Promise.resolve();
  let isComplete = false;

  /** In order, but none waits until the one before is known to have arrived: readers are told at the same time. */
  function write(act: () => Promise<void>): void {
    opened ??= recorded.type === 'begun' ? buffer.open(about, recorded.making) : null;
    written = Promise.all([written, opened?.then(act)]);
    written.catch(() => {});
  }

  return {
    batch(batch) {
      isComplete = batch.items.at(-1)?.type === 'end';
      const items = batch.items.slice(Math.max(0, told + 1 - batch.first));
      const first = Math.max(batch.first, told + 1);
      if (items.length > 0) write(() => buffer.append(about.id, { first, items }));
    },
    async end({ failure, latest }) {
      if (latest === 0 && recorded.type === 'begun') return false;
      const ending: StreamEnding = isComplete && failure === null ? { type: 'complete' } : toEnding(failure);
      let isHandedOver = false;
      write(async () => {
        if (ending.type === 'failed' && ending.code === 'server_draining') {
          isHandedOver = await buffer.handOver(about.id, ending);
        } else await buffer.finish(about.id, ending);
      });
      try {
        await written;
      } catch (error) {
        logger.warn({ message: about.id, error }, 'an answer could not be kept for resuming');
      }
      return isHandedOver;
    },
  };
}

function toEnding(failure: { readonly error: unknown } | null): StreamEnding {
  if (failure === null) {
    return { type: 'failed', code: 'stream_interrupted', message: 'The answer broke off. Ask again.', retryable: true };
  }
  const { code, message, retryable } = toAppError(failure.error);
  return { type: 'failed', code, message, retryable };
}
