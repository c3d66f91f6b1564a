import type { ChatModel } from '../ports.ts';
import type { Rotation } from './rotation.ts';

/** One model at one provider under one key: what can be called, fail and rest by itself. */
export interface ModelTarget {
  readonly model: ChatModel;
  /** Tells keys apart without telling them; null: called without a key. */
  readonly keyFingerprint: string | null;
}

/** One entry of a chain: a model with the keys it may be called under. */
export interface ModelEntry {
  /** Lower ones are asked first; entries of equal rank share the calls by weight. */
  readonly rank: number;
  /** Above 0. */
  readonly weight: number;
  /** A model that answers worse, at a lower price: where it stands in, answers say `cheaper_model`. */
  readonly cheaper?: boolean;
  /** At least one. */
  readonly targets: readonly ModelTarget[];
  /** Over the places in `targets`; share it between entries of one provider, so that their keys take turns together. */
  readonly keys: Rotation;
}

/** A target in its turn. */
export interface Candidate {
  readonly target: ModelTarget;
  readonly rank: number;
  readonly cheaper: boolean;
}

/** The name of a target's circuit. */
export function circuitOf({ model, keyFingerprint }: ModelTarget): string {
  return `${model.id} ${keyFingerprint ?? '-'}`;
}
