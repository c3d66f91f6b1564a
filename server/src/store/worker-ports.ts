import type { Worker } from './entities.ts';

/** Signs of life of the processes that run jobs. Losing one is harmless. */
export interface WorkerRegistry {
  /** Adds the worker or says what has become of it. */
  beat(worker: Worker): Promise<void>;
  /** In the order of their start. */
  list(): Promise<readonly Worker[]>;
  remove(id: string): Promise<void>;
  /** Removes workers that were last seen before that time. */
  removeUnseen(before: number): Promise<number>;
}
