import type { Clock } from '../../kernel/index.ts';
import { type ApiClient, asList, asNumber, asText, asWire, type Wire } from './api-client.ts';
import { CliError } from './cli-error.ts';

/** What became of one file. */
export type Outcome =
  | { readonly type: 'waiting'; readonly sourceId: string }
  | { readonly type: 'ready'; readonly sourceId: string; readonly chunks: number }
  | { readonly type: 'unchanged'; readonly sourceId: string }
  | { readonly type: 'failed'; readonly sourceId: string | null; readonly code: string; readonly message: string };

export type Outcomes = Map<string, Outcome>;
/** That of a source which was taken in and is not trained any more. */
type KnownOutcome = Extract<Outcome, { readonly type: 'ready' | 'failed' }> & { readonly sourceId: string };

export interface Waiting {
  readonly client: ApiClient;
  readonly bot: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Told of each source that is not trained any more, and how many are left. */
  readonly onOutcome: (externalKey: string, outcome: Outcome) => void;
  readonly onProgress: (left: number) => void;
}

const POLL_MS = { first: 200, most: 1_000, growth: 1.5 };
/** So few sources are asked after one by one, which is cheaper than to list all that the bot has. */
const ASKED_ONE_BY_ONE = 20;

/** Waits until none of the sources is being trained any more, and puts what became of them into `outcomes`. */
export async function waitForAll(waiting: Waiting, outcomes: Outcomes): Promise<void> {
  const { clock, signal, onOutcome, onProgress } = waiting;
  const left = new Map(
    [...outcomes].flatMap(([key, outcome]) => (outcome.type === 'waiting' ? [[outcome.sourceId, key] as const] : [])),
  );
  onProgress(left.size);
  for (let pauseMs = POLL_MS.first; left.size > 0; ) {
    const before = left.size;
    for await (const outcome of outcomesOf(waiting, [...left.keys()])) {
      const key = left.get(outcome.sourceId) ?? '';
      left.delete(outcome.sourceId);
      outcomes.set(key, outcome);
      onOutcome(key, outcome);
    }
    onProgress(left.size);
    if (left.size === 0) return;
    await clock.sleep(pauseMs, signal);
    pauseMs = left.size < before ? POLL_MS.first : Math.min(POLL_MS.most, pauseMs * POLL_MS.growth);
  }
}

/** What has become of those of the sources that are not trained any more. */
async function* outcomesOf(waiting: Waiting, sourceIds: readonly string[]): AsyncIterable<KnownOutcome> {
  const unseen = new Set(sourceIds);
  if (unseen.size > ASKED_ONE_BY_ONE) {
    for await (const source of newestSources(waiting)) {
      const outcome = unseen.delete(asText(source['id'])) ? outcomeOf(source) : null;
      if (outcome !== null) yield outcome;
      if (unseen.size === 0) return;
    }
  }
  // Also what the list did not show: a page may be cut short when a source is deleted meanwhile.
  for (const sourceId of unseen) {
    const outcome = await askAfter(waiting, sourceId);
    if (outcome !== null) yield outcome;
  }
}

async function askAfter({ client, bot, signal }: Waiting, sourceId: string): Promise<KnownOutcome | null> {
  try {
    const path = `/v1/bots/${encodeURIComponent(bot)}/sources/${encodeURIComponent(sourceId)}`;
    return outcomeOf(await client.request('GET', path, { signal }));
  } catch (error) {
    if (!(error instanceof CliError) || error.code !== 'source_not_found') throw error;
    return { type: 'failed', sourceId, code: error.code, message: 'The source was deleted while it was trained.' };
  }
}

async function* newestSources({ client, bot, signal }: Waiting): AsyncIterable<Wire> {
  for (let after = ''; ; ) {
    const cursor = after === '' ? '' : `&after=${encodeURIComponent(after)}`;
    const path = `/v1/bots/${encodeURIComponent(bot)}/sources?limit=100&order=desc${cursor}`;
    const page = await client.request('GET', path, { signal });
    yield* asList(page['data']);
    after = asText(page['last_id']);
    if (page['has_more'] !== true || after === '') return;
  }
}

/** Null while the source is still being trained. */
export function outcomeOf(source: Wire): KnownOutcome | null {
  const sourceId = asText(source['id']);
  const status = asText(source['status']);
  if (status === 'ready') return { type: 'ready', sourceId, chunks: asNumber(asWire(source['counts'])['chunks']) };
  if (status !== 'failed' && status !== 'partial') return null;
  const error = asWire(source['last_error']);
  return { type: 'failed', sourceId, code: asText(error['code']), message: asText(error['message']) };
}

/** As the events of `--json` show it. */
export function wireOutcome(outcome: Outcome): Wire {
  if (outcome.type !== 'failed')
    return { source_id: outcome.sourceId, status: outcome.type === 'waiting' ? 'queued' : outcome.type };
  return { source_id: outcome.sourceId, status: 'failed', error: { code: outcome.code, message: outcome.message } };
}
