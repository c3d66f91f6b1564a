import type { EmbeddingSpaces } from '../../embeddings/index.ts';
import { AppError, type Clock, type IdMaker, type Logger, type Meter } from '../../kernel/index.ts';
import type { Bot, Generation, Store, TenantRepositories } from '../../store/index.ts';
import type { VectorStore } from '../../vector-store/index.ts';
import { chunkingSignature } from '../chunking/strategies.ts';
import { keyOf } from './bot-indexes.ts';
import type { BotIndexes, GenerationRequest, Generations } from './ports.ts';
import { isComplete, startCompletion, startRemoval, swapTo } from './swap.ts';

export interface GenerationsOptions {
  readonly store: Pick<Store, 'forTenant'>;
  readonly indexes: BotIndexes;
  readonly embedders: Pick<EmbeddingSpaces, 'open' | 'own'>;
  readonly vectors: Pick<VectorStore, 'search'>;
  readonly announce: (jobId: string) => Promise<void>;
  readonly clock: Clock;
  readonly createId: IdMaker;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** What is trained within this time is completed by one job. */
const TOGETHER_MS = 2_000;

const COMING = ['building', 'ready'] as const;

/** Builds, swaps and rolls back the index generations of bots. */
export function createGenerations(options: GenerationsOptions): Generations {
  const { store, indexes, clock, createId, meter } = options;
  const stamp = () => ({ createId, now: clock.now() });

  async function announceAll(jobs: readonly (string | null)[]): Promise<void> {
    for (const job of jobs) if (job !== null) await options.announce(job);
  }

  async function draft(bot: Bot, request: GenerationRequest, signal?: AbortSignal): Promise<Generation> {
    const { generation: current } = await indexes.training({ tenantId: bot.tenantId, botId: bot.id });
    const keepsModel = request.embeddingModel === undefined || request.embeddingModel === current.embeddingModel;
    const dimensions = request.dimensions ?? (keepsModel ? current.dimensions : null);
    const model = request.embeddingModel ?? current.embeddingModel;
    const { profile } = await options.embedders.open(model, {
      dimensions,
      ...(signal === undefined ? {} : { signal }),
    });
    const chunking = request.chunking ?? current.chunking;
    const now = clock.now();
    return {
      ...current,
      id: createId('gen'),
      state: { type: 'building', at: now },
      embeddingModel: profile.id,
      embedderVersion: profile.version,
      dimensions: profile.dimensions,
      chunkSet: request.chunking === undefined ? current.chunkSet : chunkingSignature(chunking),
      chunking,
      origin: 'bot',
      policy: request.policy ?? 'if_not_worse',
      progress: { done: 0, total: 0 },
      comparison: null,
      jobId: null,
      createdAt: now,
      updatedAt: now,
    };
  }

  /** Loads the vectors into memory before the swap, so that the first question does not wait for them. */
  async function warmUp(generation: Generation, signal?: AbortSignal): Promise<void> {
    const namespace = { tenantId: generation.tenantId, botId: generation.botId, generation: keyOf(generation) };
    const vector = new Float32Array(generation.dimensions).fill(1 / Math.sqrt(generation.dimensions));
    await options.vectors.search(namespace, { vector, limit: 1 }, signal);
  }

  async function activate(bot: Bot, id: string, signal?: AbortSignal): Promise<Generation> {
    const tenant = store.forTenant(bot.tenantId);
    const target = await tenant.generations.get(bot.id, id);
    if (target === null) throw notFound();
    if (target.state.type === 'active') return target;
    requireUsable(target);
    const index = await indexes.of(target);
    if (!index.available) {
      throw new AppError(
        'generation_not_usable',
        'Its embedder is not available on this server (now). Set the key of its provider.',
      );
    }
    if (target.state.type !== 'building') await warmUp(target, signal);
    const startedAt = clock.now();
    const { jobs, swapped } = await tenant.transaction(async (repositories) => {
      const current = await repositories.generations.get(bot.id, id);
      if (current === null) throw notFound();
      requireUsable(current);
      // What was chosen by hand is kept when the server's settings change.
      await repositories.generations.update(id, { origin: 'bot', policy: 'when_ready', updatedAt: clock.now() });
      if (current.state.type !== 'building' && (await isComplete(repositories, current))) {
        return { jobs: await swapTo(repositories, current, stamp()), swapped: true };
      }
      return { jobs: [await complete(repositories, current)], swapped: false };
    });
    if (swapped) {
      meter.observe('chatsphere_generation_swap_duration_seconds', {}, (clock.now() - startedAt) / 1000);
      meter.count('chatsphere_generation_swaps_total', {
        kind: target.state.type === 'retired' ? 'rollback' : 'manual',
      });
    }
    await announceAll(jobs);
    return (await tenant.generations.get(bot.id, id)) ?? target;
  }

  /** Sets what is missing in a generation that should answer to be made first. */
  async function complete(repositories: TenantRepositories, generation: Generation): Promise<string | null> {
    const { now } = stamp();
    const { generations, jobs } = repositories;
    const job = generation.jobId === null ? null : await jobs.get(generation.jobId);
    // One that waits for more to be trained gives way to one that starts now.
    if (job?.state === 'queued' && job.runAt > now) await jobs.requestCancel(job.id, now);
    await generations.update(generation.id, { state: { type: 'building', at: now }, updatedAt: now });
    return startCompletion(repositories, generation, stamp());
  }

  return {
    activate,
    async request(bot, request, signal) {
      const wanted = await draft(bot, request, signal);
      const tenant = store.forTenant(bot.tenantId);
      const { generation, job } = await tenant.transaction(async (repositories) => {
        const { generations } = repositories;
        const active = await generations.active(bot.id);
        if (active !== null && keyOf(active) === keyOf(wanted)) {
          throw new AppError('generation_not_usable', 'The bot uses just this embedder and chunking already.');
        }
        const [coming] = await generations.inStates(bot.id, COMING);
        if (coming !== undefined && keyOf(coming) !== keyOf(wanted)) {
          throw new AppError(
            'generation_busy',
            `The generation ${coming.id} is being built. Wait until it has taken over, or delete it: DELETE /v1/bots/${bot.slug}/generations/${coming.id}.`,
          );
        }
        const known =
          coming ?? (await generations.inStates(bot.id, ['retired'])).find((one) => keyOf(one) === keyOf(wanted));
        const { policy, state } = wanted;
        if (known === undefined) await generations.create(wanted);
        else await generations.update(known.id, { policy, state, origin: 'bot', updatedAt: clock.now() });
        const generation = { ...(known ?? wanted), policy, state };
        return { generation, job: await startCompletion(repositories, generation, stamp()) };
      });
      await announceAll([job]);
      return (await tenant.generations.get(bot.id, generation.id)) ?? generation;
    },
    async rollBack(bot, signal) {
      const [previous] = await store.forTenant(bot.tenantId).generations.inStates(bot.id, ['retired']);
      if (previous === undefined) {
        throw new AppError(
          'generation_not_found',
          'There is no generation to go back to: none was active before, or it was removed.',
        );
      }
      return activate(bot, previous.id, signal);
    },
    async remove(bot, id) {
      const tenant = store.forTenant(bot.tenantId);
      const job = await tenant.transaction(async (repositories) => {
        const generation = await repositories.generations.get(bot.id, id);
        if (generation === null || generation.state.type === 'removing') return null;
        if (generation.state.type === 'active') {
          throw new AppError(
            'generation_not_usable',
            'This generation answers. Activate another one before you delete it.',
          );
        }
        return startRemoval(repositories, generation, stamp());
      });
      await announceAll([job]);
      return job !== null;
    },
    async catchUp(bot) {
      try {
        const others = await store
          .forTenant(bot.tenantId)
          .generations.inStates(bot.botId, ['building', 'ready', 'retired']);
        for (const generation of others) await completeSoon(generation);
      } catch (error) {
        options.logger.warn({ bot: bot.botId, error }, 'Generations could not be completed now; they will be later');
      }
    },
    async completeAll(bot) {
      const tenant = store.forTenant(bot.tenantId);
      const all = await tenant.generations.inStates(bot.botId, ['active', 'building', 'ready', 'retired']);
      for (const generation of all) {
        const isDone = generation.state.type !== 'building' && (await isComplete(tenant, generation));
        if (!isDone) await completeSoon(generation);
      }
    },
  };

  async function completeSoon(lacking: Generation): Promise<void> {
    if (!(await indexes.of(lacking)).available) return;
    const { id, tenantId, botId } = lacking;
    const job = await store.forTenant(tenantId).transaction(async (repositories) => {
      const generation = await repositories.generations.get(botId, id);
      if (generation === null) return null;
      const { now } = stamp();
      return startCompletion(repositories, generation, { createId, now, notBefore: now + TOGETHER_MS });
    });
    await announceAll([job]);
  }
}

function requireUsable({ state }: Generation): void {
  if (state.type === 'ready' || state.type === 'retired' || state.type === 'building') return;
  throw new AppError(
    'generation_not_usable',
    state.type === 'removing' || state.type === 'active'
      ? `The generation is ${state.type === 'active' ? 'active already' : 'being removed'}.`
      : 'The generation was never finished. Retry its job, or request a new one.',
  );
}

function notFound(): AppError {
  return new AppError('generation_not_found', 'The bot has no such generation.');
}
