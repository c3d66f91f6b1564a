import type { Passage } from '../../llm/index.ts';
import { composeAnswer } from './composition.ts';
import { type EvidenceStatement, type PassageEvidence, readEvidence } from './evidence.ts';
import { answers, fitOf } from './fit.ts';
import { readQuestion } from './question.ts';
import { type Similarities, scoreStatements, termWeights } from './scoring.ts';
import { selectParts } from './selection.ts';

/** Vectors of length 1, one a text, in order. */
export type EmbedTexts = (texts: readonly string[], purpose: 'query' | 'document') => Promise<readonly Float32Array[]>;

/**
 * The answer to a question in the words of the passages, as Markdown with `[n]` markers; null when nothing in them
 * fits. `embed` adds likeness of meaning to the match by words; when it fails, words alone decide.
 */
export async function answerQuestion(
  request: { readonly question: string; readonly passages: readonly Passage[] },
  embed?: EmbedTexts,
): Promise<string | null> {
  const question = readQuestion(request.question);
  const passages = request.passages.map(readEvidence);
  const similarity = embed === undefined ? noSimilarity : await embeddedSimilarity(request.question, passages, embed);
  const weights = termWeights(question, passages);
  const ranked = scoreStatements(question, passages, { weights, similarity });
  const best = ranked[0];
  if (best === undefined || !answers(fitOf(question, best, weights))) return null;
  return composeAnswer(selectParts(question, ranked));
}

const noSimilarity: Similarities = () => null;

async function embeddedSimilarity(
  question: string,
  passages: readonly PassageEvidence[],
  embed: EmbedTexts,
): Promise<Similarities> {
  const statements = passages.flatMap((evidence) => evidence.statements);
  try {
    const [[asked], found] = await Promise.all([
      embed([question], 'query'),
      embed(
        statements.map(({ text }) => text),
        'document',
      ),
    ]);
    const vectors = new Map<EvidenceStatement, Float32Array | undefined>(
      statements.map((statement, position) => [statement, found[position]]),
    );
    return (statement) => dotProduct(asked, vectors.get(statement));
  } catch {
    return noSimilarity;
  }
}

function dotProduct(left: Float32Array | undefined, right: Float32Array | undefined): number {
  if (left === undefined || right === undefined || left.length !== right.length) return 0;
  let sum = 0;
  for (let position = 0; position < left.length; position += 1) sum += (left[position] ?? 0) * (right[position] ?? 0);
  return sum;
}
