import type { AnswerEvent, StreamAbout, StreamEnding, StreamName } from '../../chat/index.ts';
import type { Batch } from '../../resilience/index.ts';
import { type RedisSettings, sharedKey, tenantKey } from './redis-settings.ts';

/** What the entries of a stream in Redis hold: first whose it is, then what it says, last how it ended. */
export type StreamEntry =
  | { readonly type: 'about'; readonly about: StreamAbout; readonly maker: string }
  | { readonly type: 'batch'; readonly batch: Batch<AnswerEvent> }
  | { readonly type: 'ending'; readonly ending: StreamEnding; readonly endedAt: number };

const FIELD = 'entry';

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
