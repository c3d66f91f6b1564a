import type { AnswerEvent, AnswerOrder, StreamAbout, StreamEnding, StreamName } from '../../chat/index.ts';
import type { Batch } from '../../resilience/index.ts';
import { type RedisSettings, sharedKey, tenantKey } from './redis-settings.ts';

/**
 * What the entries of a stream in Redis hold: first whose it is and what it takes to make it anew, then what it says, and who
 * goes on with it from there on, or that its maker has left it to others, last how it ended.
 */
export type StreamEntry =
  | { readonly type: 'about'; readonly about: StreamAbout; readonly maker: string }
  | { readonly type: 'order'; readonly order: AnswerOrder }
  | { readonly type: 'maker'; readonly maker: string }
  | { readonly type: 'batch'; readonly batch: Batch<AnswerEvent> }
  | { readonly type: 'left'; readonly endedAt: number }
  | { readonly type: 'ending'; readonly ending: StreamEnding; readonly endedAt: number };

/** Least time in milliseconds that a stream is kept for when nothing more comes, its process being dead. */
export const SILENT_MS = 120_000;
/** The field of every entry. */
export const FIELD = 'entry';
/** How often one maker may write a stream anew. */
const WRITINGS = 1_000_000;

/**
 * A maker's place in a stream: how many there were before it, and how often it has written all of it. Redis refuses entries
 * whose ids do not rise: who was replaced, and does not know it, can add nothing.
 */
export interface StreamPlace {
  readonly succession: number;
  readonly writing: number;
}

/** As XADD takes it. */
export function entryIdAt({ succession, writing }: StreamPlace): string {
  return `${succession * WRITINGS + writing}-*`;
}

/** Of a maker that goes on behind the entry of this id. */
export function placeBehind(entryId: string): StreamPlace {
  return { succession: Math.floor(Number(entryId.split('-')[0]) / WRITINGS) + 1, writing: 0 };
}

/** Ids from here on are of those who come after. */
export function endOfSuccession({ succession }: StreamPlace): number {
  return (succession + 1) * WRITINGS;
}

/** The fields of an entry, as XADD takes them. */
export function writeEntry(entry: StreamEntry): [string, string] {
  return [FIELD, JSON.stringify(entry)];
}

/** Null: not an entry of ours. */
export function readEntry(fields: readonly string[]): StreamEntry | null {
  try {
    return JSON.parse(fields[fields.indexOf(FIELD) + 1] ?? '') as StreamEntry;
  } catch {
    return null;
  }
}

export function streamKey(settings: RedisSettings, { tenantId, id }: StreamName): string {
  return tenantKey(settings, tenantId, 'stream', id);
}

/** Where readers are told that a stream has grown. */
export function streamTopic(id: string): string {
  return `stream.${id}`;
}

/** Is there as long as the process lives. */
export function makerKey(settings: RedisSettings, maker: string): string {
  return sharedKey(settings, 'process', maker);
}
