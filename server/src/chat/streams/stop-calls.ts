import { createDeadline } from '../../kernel/index.ts';
import type { MessageBus } from '../../resilience/index.ts';
import type { KeptStream, StreamBuffer, StreamName } from './ports.ts';

/** Stops answers that other processes make. */
export interface StopCalls {
  /** Resolves once the answer has ended, after `limitMs` at the latest. False: there is none, or it had ended. */
  call(name: StreamName, limitMs: number): Promise<boolean>;
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
      if (kept === null || kept.isOver) return false;
      using deadline = createDeadline(limitMs);
      const ending = readToEnd(kept, deadline.signal);
      bus.publish(TOPIC, name.id);
      await ending;
      return true;
    },
  };
}

/** Never rejects: however it ends, it has ended. */
async function readToEnd(kept: KeptStream, signal: AbortSignal): Promise<void> {
  try {
    for await (const _ of kept.read({ signal }));
  } catch {
    // Stopped, failed, or not over in time.
  }
}
