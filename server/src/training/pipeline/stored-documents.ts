import type { TrainingIds } from './training-job.ts';

/** What an earlier run of the loading stage has stored. */
export interface StoredDocuments {
  has(documentId: string): boolean;
  /** Whether everything of this input is stored. */
  isComplete(input: number): boolean;
  /** How many documents complete inputs have. */
  readonly inCompleteInputs: number;
}

/**
 * Inputs are stored in their order, so those before the last that has a document are complete. The last may have been cut
 * off: it is parsed again, and its stored documents are skipped. So are inputs with refusals, which are tried again.
 */
export function storedDocuments(
  ids: TrainingIds,
  {
    inputs,
    usable,
    refused,
  }: { readonly inputs: readonly unknown[]; readonly usable: readonly string[]; readonly refused: readonly string[] },
): StoredDocuments {
  const stored = new Set(usable);
  const inputOf = new Map(inputs.map((_, position) => [ids.inputOf(ids.document(position, 0)), position]));
  const positionOf = (id: string): number => inputOf.get(ids.inputOf(id)) ?? -1;
  const positions = usable.map(positionOf);
  const last = positions.reduce((one, other) => Math.max(one, other), -1);
  const open = new Set([last, ...refused.map(positionOf)]);
  const complete = new Set(positions.filter((position) => !open.has(position)));
  return {
    has: (id) => stored.has(id),
    isComplete: (input) => complete.has(input),
    inCompleteInputs: positions.filter((position) => complete.has(position)).length,
  };
}
