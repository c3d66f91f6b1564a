export { abortable } from './abortable.ts';
export { type Batcher, type BatcherOptions, createBatcher } from './batcher.ts';
export type { Batch, Broadcast, BroadcastOptions } from './broadcast.ts';
/** @public */
export { createBroadcast } from './broadcast.ts';
export {
  type CircuitBreaker,
  type CircuitPermit,
  type CircuitState,
  createCircuitBreaker,
} from './circuit-breaker.ts';
export type { CircuitStates, OpenCircuit } from './circuit-states.ts';
export { createMemoryCircuitStates } from './memory-circuit-states.ts';
export {
  type BusListener,
  type BusSubscription,
  createBusTopics,
  createMemoryBus,
  type MessageBus,
} from './message-bus.ts';
export { type RetryOptions, retry } from './retry.ts';
export { createRightOfWay, type RightOfWay } from './right-of-way.ts';
export { createSingleFlight, type SingleFlight } from './single-flight.ts';
export { serveWorkerCalls, workerSettings } from './worker-call.ts';
export {
  type CallGrant,
  createWorkerPool,
  type WorkerPool,
  type WorkerPoolOptions,
  workerModule,
} from './worker-pool.ts';
export { startWorker } from './worker-process.ts';
export { createWriteGathering, type WriteGathering } from './write-gathering.ts';
