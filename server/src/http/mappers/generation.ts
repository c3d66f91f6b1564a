import type { Generation, GenerationComparison, GoldenQuestion } from '../../store/index.ts';
import type { GenerationRequest } from '../../training/index.ts';
import type { NewGenerationBody, WireGeneration, WireGoldenQuestion } from '../contract/index.ts';
import { chunkingOf, toWireChunking } from './chunking.ts';
import { toSeconds } from './time.ts';

export function toWireGeneration(generation: Generation): WireGeneration {
  const { state, comparison } = generation;
  return {
    id: generation.id,
    object: 'generation',
    bot_id: generation.botId,
    state: state.type,
    state_since: toSeconds(state.at),
    embedding_model: generation.embeddingModel,
    embedder_version: generation.embedderVersion,
    dimensions: generation.dimensions,
    chunking_strategy: toWireChunking(generation.chunking),
    chunking_signature: generation.chunkSet,
    origin: generation.origin,
    activate: generation.policy,
    progress: { ...generation.progress },
    comparison: comparison && toWireComparison(comparison),
    last_error: state.type === 'failed' ? { ...state.error } : null,
    job_id: generation.jobId,
    created_at: toSeconds(generation.createdAt),
    updated_at: toSeconds(generation.updatedAt),
  };
}

function toWireComparison(comparison: GenerationComparison): NonNullable<WireGeneration['comparison']> {
  const { basis, queries, won, lost, verdict } = comparison;
  return {
    basis,
    queries,
    overlap_at_10: comparison.overlapAt10,
    ndcg_old: comparison.ndcgOld,
    ndcg_new: comparison.ndcgNew,
    won,
    lost,
    verdict,
    compared_at: toSeconds(comparison.comparedAt),
  };
}

export function generationRequestOf(body: NewGenerationBody, modules?: readonly string[]): GenerationRequest {
  return {
    ...(body.embedding_model === undefined ? {} : { embeddingModel: body.embedding_model }),
    ...(body.dimensions === undefined ? {} : { dimensions: body.dimensions }),
    ...(body.chunking_strategy === undefined ? {} : { chunking: chunkingOf(body.chunking_strategy, modules) }),
    ...(body.activate === undefined ? {} : { policy: body.activate }),
  };
}

export function toWireGoldenQuestion({ id, question, expected, createdAt }: GoldenQuestion): WireGoldenQuestion {
  return {
    id,
    object: 'golden_question',
    question,
    expected_external_keys: expected.externalKeys ?? [],
    expected_source_ids: expected.sourceIds ?? [],
    expected_text: expected.text ?? null,
    created_at: toSeconds(createdAt),
  };
}
