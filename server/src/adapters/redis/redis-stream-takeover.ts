import type { AnswerEvent, AnswerOrder, StreamAbout, StreamName } from '../../chat/index.ts';
import type { RedisConnection } from './redis-connection.ts';
import { createScript } from './redis-script.ts';
import {
  entryIdAt,
  makerKey,
  placeBehind,
  readEntry,
  SILENT_MS,
  type StreamEntry,
  type StreamPlace,
  streamKey,
  writeEntry,
} from './stream-entries.ts';

/** A stream that this process may write now, and what it holds. */
export interface WonStream {
  readonly about: StreamAbout;
  readonly order: AnswerOrder | null;
  readonly told: readonly AnswerEvent[];
  /** See `TakenUp`. */
  readonly booked: number | null;
  readonly place: StreamPlace;
}

/** Only when nothing was added to what was read, and its maker has left it, gives no sign of life, or is who asks. */
const TAKE_UP = createScript(`
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if not last or last[1] ~= ARGV[1] then return 0 end
if ARGV[6] ~= 'free' and redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('XADD', KEYS[1], ARGV[2], ARGV[3], ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1`);

/**
 * Null: Redis is away, or the stream is over, not there, made by a process that lives, or another was quicker. `makesIt`: this
 * process writes the stream now. A stream that names this process, which does not write it, is one whose take-up succeeded
 * and was not answered in time: it is taken up once more.
 */
export async function takeUpStream(
  redis: RedisConnection,
  name: StreamName,
  { maker, keepMs, makesIt }: { readonly maker: string; readonly keepMs: number; readonly makesIt: boolean },
): Promise<WonStream | null> {
  const { settings } = redis;
  const key = streamKey(settings, name);
  const entries = await redis.ask(
    'stream_read',
    (client) => client.xrange(key, '-', '+'),
    () => [],
  );
  const left = readLeft(entries.map(([, fields]) => readEntry(fields)));
  const last = entries.at(-1)?.[0];
  if (left === null || last === undefined) return null;
  const place = placeBehind(last);
  const isOwn = left.maker === maker && !makesIt;
  const hasWon = await redis.ask(
    'stream_take_up',
    async (client) =>
      (await TAKE_UP.run(client, {
        keys: [key, makerKey(settings, left.maker)],
        args: [
          ...[last, entryIdAt(place), ...writeEntry({ type: 'maker', maker }), Math.max(keepMs, SILENT_MS)],
          isOwn || left.isHandedOver ? 'free' : '',
        ],
      })) === 1,
    () => false,
  );
  const { about, order, told, booked } = left;
  return hasWon ? { about, order, told, booked, place } : null;
}

interface Left extends Omit<WonStream, 'place'> {
  readonly maker: string;
  /** By its last maker. */
  readonly isHandedOver: boolean;
}

/** Null: it has ended, or lacks something. */
function readLeft([first, ...rest]: readonly (StreamEntry | null)[]): Left | null {
  if (first?.type !== 'about') return null;
  const { about } = first;
  let { maker } = first;
  let order: AnswerOrder | null = null;
  const told: AnswerEvent[] = [];
  let booked: number | null = null;
  let isHandedOver = false;
  for (const entry of rest) {
    if (entry === null || entry.type === 'ending') return null;
    if (entry.type === 'maker') {
      maker = entry.maker;
      isHandedOver = false;
    } else if (entry.type === 'left') {
      booked = told.length;
      isHandedOver = true;
    } else if (entry.type === 'order') order = entry.order;
    else if (entry.type === 'batch') {
      const { first: number, items } = entry.batch;
      if (number > told.length + 1) return null;
      told.push(...items.slice(told.length + 1 - number));
    }
  }
  return { about, maker, order, told, booked, isHandedOver };
}
