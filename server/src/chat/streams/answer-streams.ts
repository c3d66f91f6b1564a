import { type Cache, type CacheKey, cacheKey } from '../../cache/index.ts';
import { AppError, type Clock, type IdMaker, type Logger, type Meter, toAppError } from '../../kernel/index.ts';
import type { TokenUsage } from '../../llm/index.ts';
import { type Broadcast, createBroadcast, createSingleFlight, type MessageBus } from '../../resilience/index.ts';
import type { Bot, Store } from '../../store/index.ts';
import type { AnswerEvent, Answerer, AnswerRequest } from '../ports.ts';
import { weightOf } from './answer-weight.ts';
import { atMost } from './at-most.ts';
import { followStream } from './followed-stream.ts';
import type { AnswerStream, KeptStream, StreamAbout, StreamBuffer, StreamClaim, StreamName, TakenUp } from './ports.ts';
import { serverDraining } from './server-draining.ts';
import { createStopCalls } from './stop-calls.ts';
import { createStreamClaims } from './stream-claims.ts';
import { createStreamRecorder, type Recorded } from './stream-recorder.ts';
import { isStreamUnavailable, streamUnavailable } from './stream-unavailable.ts';
import { brokenOff, goOn, orderToKeep } from './taken-up-stream.ts';

export interface AnswerStreamsOptions {
  readonly answerer: Answerer;
  readonly buffer: StreamBuffer;
  /** Reaches the process that makes an answer which is stopped here. */
  readonly bus: MessageBus;
  /** Has the bots, and remembers which stream belongs to a claim, for all processes. */
  readonly store: Pick<Store, 'forTenant'>;
  /** Remembers the live answers of chats for other processes; absent: there is no other. */
  readonly chatNames?: Cache;
  readonly clock: Clock;
  readonly createId: IdMaker;
  readonly logger: Logger;
  readonly meter: Meter;
  /** How long a resumable answer goes on when nobody reads it, in milliseconds. Default 30,000. */
  readonly graceMs?: number;
  /** An answer that was claimed by a process that is gone may be claimed again after this. Default three minutes. */
  readonly lostAfterMs?: number;
}

export interface StreamRequest {
  readonly answer: AnswerRequest;
  /** The bot as the client named it. */
  readonly model: string;
  /** The answer goes on for a while when its last reader leaves. */
  readonly isResumable?: boolean;
  /** Equal requests under one key share one stream: see `begin`. */
  readonly claim?: StreamClaim;
  /** A name that the client has for the chat, under which its live answer is found. */
  readonly chatKey?: string;
  /** Told what the answer has used so far, also when it is another process' and is gone on with for this request. */
  readonly reportUsage?: ReportUsage;
  /** Ends the waiting for another stream under the claim. */
  readonly signal?: AbortSignal;
}

/** What an answer has used so far. */
export type ReportUsage = (usage: TokenUsage) => void;

/** Answers as numbered streams that can be read more than once, resumed, stopped, and finished before the process ends. */
export interface AnswerStreams {
  /**
   * Begins an answer, under a message id that is known at once. With a `claim` whose key has a stream that is live or
   * kept, in this process or another, that stream is returned (`isReplay`), or `idempotency_key_reused` thrown when the
   * fingerprint differs. A stream that failed frees its key.
   */
  begin(request: StreamRequest): Promise<{ readonly stream: AnswerStream; readonly isReplay: boolean }>;
  /**
   * The stream of a message; null: it is neither live nor kept. `reportUsage` is told what it has used when it is gone on
   * with for this reader, as its process is gone. Rejects with `stream_unavailable` when it cannot be seen now.
   */
  find(name: StreamName, reportUsage?: ReportUsage): Promise<AnswerStream | null>;
  /** The live answer of a chat with the bot; null: there is none. `reportUsage` and rejections as of `find`. */
  ofChat(bot: Bot, chatKey: string, reportUsage?: ReportUsage): Promise<AnswerStream | null>;
  /** Stops an answer with `answer_stopped`, also one whose process is gone; resolves once what was said is stored. False: it has ended. */
  stop(name: StreamName): Promise<boolean>;
  /** Counts something else that makes an answer; `abort` is called when the time to finish is over. Call what is returned at its end. */
  enter(abort: (reason: AppError) => void): () => void;
  /** Waits until no answer is under way, at most so long; then ends the others with `server_draining`, for other processes to go on with, and waits for that. */
  drain(limitMs: number): Promise<void>;
}

interface Run extends AnswerStream {
  readonly broadcast: Broadcast<AnswerEvent>;
}

/** What a run is made of: an answer from its start, or one that another process began. */
interface Launch {
  readonly about: StreamAbout;
  readonly produce: (signal: AbortSignal, onUsage: ReportUsage) => AsyncIterable<AnswerEvent>;
  readonly recorded: Recorded;
  readonly isResumable: boolean;
  readonly claim: StreamClaim | null;
  readonly chatKey: string | null;
}

/** In characters of text. An answer that is longer than what is kept can be read to its end, but no longer from its start. */
const MAX_AHEAD = 64 * 1024;
const KEEP = 4 * 1024 ** 2;
const GRACE_MS = 30_000;
const LOST_AFTER_MS = 180_000;
/** Longer than answers take. */
const CHAT_NAME_MS = 3_600_000;
/** How long the storing of answers that were ended may take. */
const SETTLE_MS = 5_000;
/** How long who makes an answer may take to stop it: longer than a process that is gone seems to live. */
const STOP_MS = 6_000;

export function createAnswerStreams(options: AnswerStreamsOptions): AnswerStreams {
  const { answerer, buffer, clock, createId, logger, meter, graceMs = GRACE_MS } = options;
  const runs = new Map<string, Run>();
  const chats = new Map<string, Run>();
  const claims = createStreamClaims({
    records: (tenantId) => options.store.forTenant(tenantId).idempotency,
    clock,
    lostAfterMs: options.lostAfterMs ?? LOST_AFTER_MS,
  });
  const others = new Set<(reason: AppError) => void>();
  const flights = createSingleFlight<Run | null>();
  const takeUpOnce = async (name: StreamName, reportUsage?: ReportUsage): Promise<Run | null> =>
    runOf(name) ?? flights.run(name.id, () => takeUp(name, reportUsage));
  const follow = (kept: KeptStream, reportUsage?: ReportUsage): AnswerStream =>
    followStream(kept, {
      takeUp: (name) => takeUpOnce(name, reportUsage),
      find: (name) => buffer.find(name).catch(nullIfUnavailable),
      enter,
    });
  let onLeft: (() => void) | null = null;
  /** Why nothing goes on here any more. */
  let isDrained: AppError | null = null;
  const stopCalls = createStopCalls({
    buffer,
    bus: options.bus,
    onCall(id) {
      const run = runs.get(id);
      if (run !== undefined) stopHere(run);
    },
  });

  /** Whose maker gives no sign of life, or has handed it over, is taken up instead: `unheard`. */
  async function stopElsewhere(name: StreamName): Promise<'ended' | 'none' | 'unheard'> {
    return (await takeUpOnce(name)) === null ? stopCalls.call(name, STOP_MS) : 'unheard';
  }

  function stopHere({ broadcast }: Run): void {
    if (!broadcast.isOver) broadcast.cancel(new AppError('answer_stopped', 'The answer was stopped.'));
  }

  function start(request: StreamRequest, id: string): Run {
    const { answer, isResumable = false, claim = null, chatKey = null, reportUsage } = request;
    const { bot, ...rest } = answer;
    const run: Run = launch({
      about: {
        id,
        tenantId: bot.tenantId,
        botId: bot.id,
        keyId: answer.keyId ?? null,
        endUser: answer.endUser ?? null,
        model: request.model,
        createdAt: clock.now(),
      },
      produce: (signal, onUsage) => answerer.answer({ ...answer, messageId: id }, signal, both(onUsage, reportUsage)),
      recorded: {
        type: 'begun',
        making: {
          order: () => orderToKeep({ answer: rest, isResumable, claim, chatKey }),
          onReplaced: () => run.broadcast.cancel(brokenOff()),
        },
      },
      ...{ isResumable, claim, chatKey },
    });
    return run;
  }

  /** Goes on with the answer of a process that is gone. Null: it is not ours to go on with. */
  async function takeUp(name: StreamName, reportUsage?: ReportUsage): Promise<Run | null> {
    if (isDrained !== null) throw isDrained;
    let run: Run | null = null;
    const taken = await buffer.takeUp(name, () => run?.broadcast.cancel(brokenOff()));
    if (taken === null) return null;
    const { about, order } = taken;
    logger.info({ message: about.id }, 'the answer of a process that is gone is gone on with');
    const claim = (await claimTakenUp(taken)) ? (order?.claim ?? null) : null;
    run = launch({
      about,
      produce: (signal, onUsage) => goOn(options, taken, { signal, reportUsage: both(onUsage, reportUsage) }),
      recorded: { type: 'taken up', told: taken.told.length },
      isResumable: order?.isResumable === true,
      claim,
      chatKey: order?.chatKey ?? null,
    });
    if (isDrained !== null) run.broadcast.cancel(isDrained);
    return run;
  }

  async function claimTakenUp({ about, order }: TakenUp): Promise<boolean> {
    if (order === null || order.claim === null) return false;
    try {
      return await claims.takeOver(order.claim, about);
    } catch (error) {
      logger.error({ message: about.id, error }, 'the key of an answer that was taken up could not be taken over');
      return false;
    }
  }

  function launch({ about, produce, recorded, isResumable, claim, chatKey }: Launch): Run {
    let used: TokenUsage | null = null;
    const onUsage: ReportUsage = (usage) => {
      used = usage;
    };
    const record = createStreamRecorder({ buffer, logger }, about, recorded);
    const broadcast = createBroadcast<AnswerEvent>({
      produce: (signal) => produce(signal, onUsage),
      weigh: weightOf,
      maxAhead: MAX_AHEAD,
      keep: KEEP,
      onBatch: record.batch,
      ...(isResumable ? { grace: { clock, milliseconds: graceMs } } : {}),
    });
    const chat = chatKey === null ? null : chatName({ tenantId: about.tenantId, id: about.botId }, chatKey);
    const settled = broadcast.settled.then(async () => {
      const isHandedOver = await record.end(broadcast);
      if (claim !== null && !isHandedOver) await settleClaim(claim, run);
      forget(run, chat);
    });
    const run: Run = {
      about,
      isLive: true,
      used: () => used,
      broadcast,
      settled,
      canResume: ({ code }) => code === 'server_draining',
      read: ({ signal } = {}) => broadcast.read(signal === undefined ? {} : { signal }),
    };
    runs.set(about.id, run);
    if (chat !== null) {
      chats.set(chat, run);
      void options.chatNames?.set(chat, about.id, CHAT_NAME_MS);
    }
    meter.gauge('chatsphere_answer_streams', {}, runs.size);
    return run;
  }

  async function settleClaim(claim: StreamClaim, run: Run): Promise<void> {
    try {
      await (isWorthReplaying(run) ? claims.keep(claim, run.about) : claims.free(claim, run.about));
    } catch (error) {
      logger.error({ message: run.about.id, error }, 'the key of an idempotent request could not be kept or freed');
    }
  }

  function forget(run: Run, chat: CacheKey | null): void {
    runs.delete(run.about.id);
    meter.gauge('chatsphere_answer_streams', {}, runs.size);
    if (chat !== null && chats.get(chat) === run) chats.delete(chat);
    left();
  }

  function enter(abort: (reason: AppError) => void): () => void {
    if (isDrained !== null) abort(isDrained);
    others.add(abort);
    return () => {
      if (others.delete(abort)) left();
    };
  }

  function left(): void {
    if (runs.size === 0 && others.size === 0) onLeft?.();
  }

  function runOf({ tenantId, id }: StreamName): Run | null {
    const run = runs.get(id);
    return run?.about.tenantId === tenantId ? run : null;
  }

  async function find(name: StreamName, reportUsage?: ReportUsage): Promise<AnswerStream | null> {
    const run = runOf(name);
    if (run !== null) return run;
    const kept = await buffer.find(name);
    return kept === null ? null : follow(kept, reportUsage);
  }

  async function lookForClaimed(name: StreamName, reportUsage?: ReportUsage): Promise<AnswerStream | 'again' | null> {
    const run = runOf(name);
    if (run === null || isWorthReplaying(run)) return find(name, reportUsage);
    await run.settled;
    return 'again';
  }

  return {
    async begin(request) {
      const { claim, answer, signal, reportUsage } = request;
      const id = createId('msg');
      const claimant = { tenantId: answer.bot.tenantId, id, ...(signal === undefined ? {} : { signal }) };
      const look = (name: StreamName) => lookForClaimed(name, reportUsage);
      const first = claim === undefined ? null : await claims.take(claim, claimant, look);
      return first === null ? { stream: start(request, id), isReplay: false } : { stream: first, isReplay: true };
    },
    find,
    async ofChat(bot, chatKey, reportUsage) {
      const name = chatName(bot, chatKey);
      const run = chats.get(name);
      if (run !== undefined) return run;
      const id = (await options.chatNames?.get(name)) ?? null;
      if (id === null && !buffer.seesOthers()) throw streamUnavailable();
      const kept = id === null ? null : await buffer.find({ tenantId: bot.tenantId, id });
      return kept === null || kept.isOver ? null : follow(kept, reportUsage);
    },
    async stop(name) {
      const called = runOf(name) === null ? await stopElsewhere(name) : 'unheard';
      if (called !== 'unheard') return called === 'ended';
      const run = await takeUpOnce(name);
      if (run === null) return true;
      if (run.broadcast.isOver) return false;
      stopHere(run);
      await atMost(SETTLE_MS, run.settled);
      return true;
    },
    enter,
    async drain(limitMs) {
      const gone = new Promise<void>((resolve) => {
        onLeft = resolve;
        left();
      });
      await atMost(limitMs, gone);
      const reason = serverDraining();
      isDrained = reason;
      for (const { broadcast } of runs.values()) broadcast.cancel(reason);
      for (const abort of others) abort(reason);
      if (runs.size + others.size > 0) await atMost(SETTLE_MS, gone);
    },
  };
}

function both(one: ReportUsage, other: ReportUsage = () => {}): ReportUsage {
  return (usage) => {
    one(usage);
    other(usage);
  };
}

function chatName({ tenantId, id: botId }: Pick<Bot, 'tenantId' | 'id'>, chatKey: string): CacheKey {
  return cacheKey({ tenantId, botId }, 'chat', [chatKey]);
}

function nullIfUnavailable(error: unknown): null {
  if (isStreamUnavailable(error)) return null;
  throw error;
}

/** What failed is better asked again; what was stopped was meant to be. */
function isWorthReplaying({ broadcast: { failure } }: Run): boolean {
  return failure === null || toAppError(failure.error).code === 'answer_stopped';
}
