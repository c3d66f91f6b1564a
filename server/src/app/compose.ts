import { createWorkerApp, type DemoBot, type ServingState, type ZodApp } from '../http/index.ts';
import type { Lifecycle } from '../kernel/index.ts';
import type { Trainer } from '../training/index.ts';
import { type Core, type CoreOptions, composeCore } from './compose-core.ts';
import { composeApiKeys, composeServer } from './compose-server.ts';
import { composeWorker } from './compose-worker.ts';

export interface CompositionOptions extends CoreOptions {
  readonly adminKeyHashes: () => Promise<readonly string[]>;
  readonly servingState: () => ServingState;
}

/** What one process is made of. */
export interface Composition {
  readonly http: ZodApp;
  /** Lets answers that are under way finish for a while, then ends them. */
  readonly drainAnswers: (limitMs: number) => Promise<void>;
  /** Everything that lives beside the store and the HTTP server, in starting order. */
  readonly parts: readonly Lifecycle[];
}

export interface ServingComposition extends Composition {
  /** What asks the HTTP side by itself: started behind it, stopped before it. */
  readonly guests: readonly Lifecycle[];
  readonly trainer: Trainer;
  readonly chatModel: string;
}

/** A process that answers, and runs jobs too unless workers of their own do. Nothing runs yet. */
export function composeServing(
  options: CompositionOptions & { readonly demo: DemoBot | null; readonly runsJobs: boolean },
): ServingComposition {
  const core = composeCore(options);
  const worker = options.runsJobs ? composeWorker(core) : [];
  const { http, drainAnswers, parts } = composeServer(core, options);
  const { provider, model } = options.config.chatModel;
  return {
    ...{ http, drainAnswers, trainer: core.trainer, chatModel: `${provider}/${model}` },
    parts: [...core.parts, ...worker, ...parts],
    guests: core.celery === null ? [] : [core.celery.tasks(http)],
  };
}

/** A process that runs jobs, with HTTP for whoever watches over it. Nothing runs yet. */
export function composeWorking(options: CompositionOptions): Composition {
  const core = composeCore(options);
  return {
    http: workerApp(core, options),
    drainAnswers: async () => {},
    parts: [...core.parts, ...composeWorker(core)],
  };
}

function workerApp(core: Core, { adminKeyHashes, servingState }: CompositionOptions): ZodApp {
  const { store, shared, meter, logger, clock, createId } = core;
  return createWorkerApp({
    ...{ store, meter, logger, clock, createId, servingState, rateLimiter: shared.rateLimiter },
    apiKeys: composeApiKeys(core, adminKeyHashes),
    renderMetrics: () => meter.render(),
    ...(shared.redisState === null ? {} : { redisState: shared.redisState }),
  });
}
