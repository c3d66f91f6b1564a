import type { CircuitPermit } from '../../resilience/index.ts';
import type { ChatModelEvent } from '../ports.ts';
import type { AnswerRun, BegunCall, OpenedCall, RunParts } from './answer-run.ts';
import { FAILURE_RULES } from './failure-rules.ts';
import { type Candidate, circuitOf, type ModelTarget } from './model-target.ts';

export interface RetryPolicy {
  /** Calls for one answer beyond the first of each target: one budget for the whole chain. */
  readonly budget: number;
  /** Full jitter: each wait is random between 0 and the base, doubled with each, up to the most. Milliseconds. */
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
  /** A provider's `Retry-After` is waited for when no other target is left; so long in all for one answer. Milliseconds. */
  readonly patienceMs: number;
}

/** When to make a second call while the first has not begun to answer, of answers that are streamed; null: never. In milliseconds, or as long as a model usually takes (p95). */
export type HedgeAfter = number | 'p95' | null;

export interface BeginParts extends RunParts {
  readonly retries: RetryPolicy;
  readonly hedgeAfter: HedgeAfter;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** More targets than this are not called for one answer, however many a chain has. */
export const MOST_CALLS = 10;

/**
 * Calls the candidates in turn, again where that can help, until one has begun to answer. Null when all that may be called
 * have failed; rejects with the signal's reason alone.
 */
export async function beginAnswer(
  parts: BeginParts,
  run: AnswerRun,
  candidates: readonly Candidate[],
): Promise<BegunCall | null> {
  const spent: Spent = { retries: 0, nonsense: 0, askedMs: 0 };
  for (let place = 0; place < candidates.length; place += 1) {
    const candidate = candidates[place];
    if (candidate === undefined) break;
    const others = candidates.slice(place + 1);
    for (;;) {
      if (run.calls() >= MOST_CALLS || parts.clock.now() >= run.deadlineAt) return null;
      run.signal.throwIfAborted();
      const entered = enter(parts, candidate.target);
      // Not awaited where there is nothing to wait for: the common case takes no turn of the event loop.
      const permit = entered instanceof Promise ? await entered : entered;
      if (permit === null) break;
      const begun = await callOnce(parts, run, { candidate, permit, others });
      if (begun !== null) return begun;
      const delayMs = delayBeforeRetry(parts, run, { candidate, spent, left: others.filter(isFree) });
      if (delayMs === null) break;
      reportRetry(parts, run, { candidate, delayMs });
      await parts.clock.sleep(delayMs, run.signal);
    }
  }
  return null;

  function isFree({ target }: Candidate): boolean {
    return parts.health.circuits.closedUntil(circuitOf(target)) === null;
  }
}

function enter({ health }: RunParts, target: ModelTarget): CircuitPermit | null | Promise<CircuitPermit | null> {
  return health.circuits.enter(circuitOf(target));
}

interface Turn {
  readonly candidate: Candidate;
  readonly permit: CircuitPermit;
  /** Those that come after it. */
  readonly others: readonly Candidate[];
}

/** Null when it failed; the run knows why. */
async function callOnce(parts: BeginParts, run: AnswerRun, turn: Turn): Promise<BegunCall | null> {
  const call = run.open(turn.candidate, turn.permit);
  const hedgeMs = hedgeDelayMs(parts, turn.candidate.target);
  try {
    const begun = await (hedgeMs === null ? call.begin() : beginHedged(parts, run, { turn, call, hedgeMs }));
    return run.isWhole ? await readWhole(parts, begun) : begun;
  } catch {
    run.signal.throwIfAborted();
    return null;
  }
}

/** The same call once all of its answer is there. */
async function readWhole({ clock, deadlines }: RunParts, { call, stream, first }: BegunCall): Promise<BegunCall> {
  const rest: ChatModelEvent[] = [];
  for (let last = first; last.type !== 'end'; rest.push(last)) {
    const { done, value } = await stream.next(clock.now() + deadlines.idleTokenMs, 'finish its answer');
    if (done === true) break;
    last = value;
  }
  const events = rest.values();
  return { call, stream: { ...stream, next: () => Promise.resolve(events.next()) }, first };
}

function hedgeDelayMs({ hedgeAfter, health }: BeginParts, { model }: ModelTarget): number | null {
  return hedgeAfter === 'p95' ? health.usualFirstTokenMs(model.id) : hedgeAfter;
}

/** The one that begins first answers, the other is cancelled. Rejects when both have failed. */
async function beginHedged(
  parts: BeginParts,
  run: AnswerRun,
  { turn, call, hedgeMs }: { readonly turn: Turn; readonly call: OpenedCall; readonly hedgeMs: number },
): Promise<BegunCall> {
  const { clock, meter } = parts;
  const first = call.begin();
  const waiting = new AbortController();
  const tooLong = clock.sleep(hedgeMs, AbortSignal.any([run.signal, waiting.signal])).then(() => null);
  tooLong.catch(() => {});
  try {
    const early = await Promise.race([first, tooLong]);
    if (early !== null) return early;
  } finally {
    waiting.abort('begun');
  }
  const second = await openHedge(parts, run, turn);
  if (second === null) return first;
  const { model } = second.candidate.target;
  const winner = await Promise.any([first, second.begin()]);
  const hedgeWon = winner.call === second;
  (hedgeWon ? call : second).cancel();
  meter.count('chatsphere_model_hedges_total', { model: model.id, outcome: hedgeWon ? 'won' : 'lost' });
  return winner;
}

/** At another free target of equal rank, else the same one again. */
async function openHedge(parts: BeginParts, run: AnswerRun, { candidate, others }: Turn): Promise<OpenedCall | null> {
  const equals = others.filter(({ rank }) => rank === candidate.rank);
  for (const next of [...equals, candidate]) {
    const permit = await enter(parts, next.target);
    if (permit !== null) return run.open(next, permit);
  }
  return null;
}

interface Spent {
  retries: number;
  nonsense: number;
  /** What providers have asked to wait. */
  askedMs: number;
}

/** How long to wait before the same target is called again; null: it is not. Counts what it allows. */
function delayBeforeRetry(
  { clock, retries, random }: BeginParts,
  run: AnswerRun,
  {
    candidate,
    spent,
    left,
  }: { readonly candidate: Candidate; readonly spent: Spent; readonly left: readonly Candidate[] },
): number | null {
  const isSameModel = (other: Candidate): boolean => other.target.model.id === candidate.target.model.id;
  const failure = run.failures.findLast((known) => known.candidate === candidate);
  if (failure === undefined || spent.retries >= retries.budget) return null;
  const { again } = FAILURE_RULES[failure.kind];
  if (again === 'never') return null;
  if (again === 'once' && spent.nonsense > 0) return null;
  // Another key of the same model is as good as the same again, and costs no wait.
  if (again === 'jitter' && left.some(isSameModel)) return null;
  const tries = run.failures.filter((known) => isSameModel(known.candidate)).length;
  if (left.length > 0 && (again === 'last' || again === 'asked' || tries > 1)) return null;
  const asked = again === 'asked' ? failure.error.retryAfterMs : undefined;
  if (asked !== undefined && spent.askedMs + asked > retries.patienceMs) return null;
  const backOffMs = random() * Math.min(retries.maxDelayMs, retries.baseDelayMs * 2 ** spent.retries);
  // Never earlier than asked, and spread so that clients who wait do not return in step.
  const delayMs = (asked ?? 0) + backOffMs;
  if (clock.now() + delayMs >= run.deadlineAt) return null;
  spent.retries += 1;
  spent.askedMs += asked ?? 0;
  if (again === 'once') spent.nonsense += 1;
  return delayMs;
}

function reportRetry(
  { meter, logger }: BeginParts,
  run: AnswerRun,
  { candidate, delayMs }: { readonly candidate: Candidate; readonly delayMs: number },
): void {
  const model = candidate.target.model.id;
  meter.count('chatsphere_model_retries_total', { model });
  logger.warn(
    { model, calls: run.calls(), delayMs, err: run.failures.at(-1)?.error },
    'model call failed, trying again',
  );
}
