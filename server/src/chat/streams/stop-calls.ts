import { AppError, createDeadline } from '../../kernel/index.ts';
import type { MessageBus } from '../../resilience/index.ts';
import type { KeptStream, StreamBuffer, StreamName } from './ports.ts';

/** Stops answers that other processes make. */
export interface StopCalls {
  /**
   * Resolves once the answer has ended, after `limitMs` at the latest. `none`: there is none, or it had ended. `unheard`: who
   * makes it does not answer.
   */
  call(name: StreamName, limitMs: number): Promise<'ended' | 'none' | 'unheard'>;
}

const TOPIC = 'answers.stop';

export function createStopCalls({
  buffer,
  bus,
  onCall,
}: {
  readonly buffer: StreamBuffer;
  readonly bus: MessageBus;
  /** An answer is to be stopped, if this process makes it. */
  readonly onCall: (id: string) => void;
}): StopCalls {
  bus.subscribe(TOPIC, { message: onCall });
  return {
    async call(name, limitMs) {
      const kept = await buffer.find(name);
      if (kept === null || kept.isOver) return 'none';
      using deadline = createDeadline(limitMs);
      const ending = readToEnd(kept, deadline.signal);
      bus.publish(TOPIC, name.id);
      return (await ending) ? 'ended' : 'unheard';
    },
  };
}

/** False: it is not over in time, or nobody makes it any more. */
async function readToEnd(kept: KeptStream, signal: AbortSignal): Promise<boolean> {
  try {
    for await (const _ of kept.read({ signal }));
    return true;
  } catch (error) {
    return !signal.aborted && !(error instanceof AppError && error.code === 'stream_interrupted');
  }
}
