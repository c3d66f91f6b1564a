import { TEXT_SPLITTER_MODULE } from '../adapters/langchain/index.ts';
import { createJobRunner, createJobWatch } from '../jobs/index.ts';
import type { Lifecycle } from '../kernel/index.ts';
import {
  createDocumentParser,
  createGenerationHandler,
  createGenerationKeeper,
  createTrainingHandler,
} from '../training/index.ts';
import { type Core, searchPartsOf } from './compose-core.ts';
import { composeSchedule } from './compose-web.ts';
import { createHousekeeping, createImportRemoval } from './housekeeping.ts';
import { createKeeper } from './keeper.ts';
import { createIndexSearch } from './search-spaces.ts';

/** Loading waits mostly for the parser and the database; embedding takes the processor. */
const STAGES_AT_ONCE = 8;
const EMBEDDING_STAGES_AT_ONCE = 2;

/** What runs jobs and keeps the house: in starting order. */
export function composeWorker(core: Core): readonly Lifecycle[] {
  const { config, store, transport, jobEvents, clock, createId, logger, meter, indexes, vectors } = core;
  const following = core.following.composeWorker();
  const { blobs, web, embedders, generations, announce, worker, trainer } = core;
  const parser = createDocumentParser({
    giveWay: core.questionsFirst.giveWay,
    splitters: { module: TEXT_SPLITTER_MODULE, allowed: config.chunkingModules },
  });
  const rechunk = parser.cut;
  const generationParts = { store, indexes, embedders, vectors, announce, clock, createId, logger, meter };
  const trainingHandler = createTrainingHandler({
    ...{ store, blobs, web: web.parts, parser, indexes, rechunk, vectors, clock, logger },
    onTrained: (bot) => void generations.catchUp(bot),
  });
  const generationHandler = createGenerationHandler({
    ...generationParts,
    rechunk,
    search: createIndexSearch(searchPartsOf(core)),
  });
  const runner = createJobRunner({
    ...{ store, transport, events: jobEvents, clock, logger, meter, ...worker },
    handlers: [following.watched(trainingHandler), generationHandler],
    concurrency: STAGES_AT_ONCE,
    slowPlaces: EMBEDDING_STAGES_AT_ONCE,
    reclaimOwners: core.isSole ? 'all' : 'none',
  });
  return [
    { name: 'parser', start: () => parser.start(), stop: () => parser.stop() },
    runner,
    ...following.parts,
    createJobWatch({ claims: store.system.jobs, workers: store.system.workers, clock, logger, meter }),
    createKeeper({
      ...{ leases: store.system.leases, clock, logger },
      makeDuties: () => [
        createImportRemoval({ store, trainer, unfinished: core.unfinishedImports, clock, logger }),
        composeHousekeeping(core),
        composeSchedule(core),
        createGenerationKeeper({ ...generationParts, generations }),
      ],
    }),
  ];
}

function composeHousekeeping(core: Core): Lifecycle {
  const { store, blobs, vectors, indexes, clock, logger } = core;
  const housekeeping = createHousekeeping({ store, blobs, vectors, indexes, clock, logger });
  let removals: { readonly close: () => void } | null = null;
  return {
    name: housekeeping.name,
    async start() {
      removals = core.onContentRemoved(() => housekeeping.clearSoon());
      await housekeeping.start();
    },
    async stop() {
      removals?.close();
      await housekeeping.stop();
    },
  };
}
