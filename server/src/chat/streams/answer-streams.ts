import { type Cache, type CacheKey, cacheKey } from '../../cache/index.ts';
import {
  AppError,
  type Clock,
  createDeadline,
  type IdMaker,
  type Logger,
  type Meter,
  toAppError,
} from '../../kernel/index.ts';
import type { TokenUsage } from '../../llm/index.ts';
import { type Batch, type Broadcast, createBroadcast, type MessageBus } from '../../resilience/index.ts';
import type { Bot, Store } from '../../store/index.ts';
import type { AnswerEvent, Answerer, AnswerRequest } from '../ports.ts';
import type { KeptStream, StreamAbout, StreamBuffer, StreamEnding, StreamName } from './ports.ts';
import { createStopCalls } from './stop-calls.ts';
import { createStreamClaims, type StreamClaim } from './stream-claims.ts';

export interface AnswerStreamsOptions {
  readonly answerer: Answerer;
  readonly buffer: StreamBuffer;
  /** Reaches the process that makes an answer which is stopped here. */
  readonly bus: MessageBus;
  /** Remembers which stream belongs to a claim, for all processes. */
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
  readonly reportUsage?: (usage: TokenUsage) => void;
}

/** An answer that is made, or was. */
export interface AnswerStream {
  readonly about: StreamAbout;
  /** Whether it is made now; else it is read again. */
  readonly isLive: boolean;
  /** What was used so far: estimated until the answer ends, then exact. Null: not known here. */
  used(): TokenUsage | null;
  /** Resolves once nothing is done for it any more. Never rejects. */
  readonly settled: Promise<void>;
  /**
   * Every event from number 1 on, in batches. Whoever reads must read to the end, return, or abort: an answer that
   * nobody reads is cancelled.
   */
  read(options?: { readonly signal?: AbortSignal }): AsyncIterable<Batch<AnswerEvent>>;
}

/** Answers as numbered streams that can be read more than once, resumed, stopped, and finished before the process ends. */
export interface AnswerStreams {
  /**
   * Begins an answer, under a message id that is known at once. With a `claim` whose key has a stream that is live or
   * kept, in this process or another, that stream is returned (`isReplay`), or `idempotency_key_reused` thrown when the
   * fingerprint differs. A stream that failed frees its key.
   */
  begin(request: StreamRequest): Promise<{ readonly stream: AnswerStream; readonly isReplay: boolean }>;
  /** The stream of a message; null: it is neither live nor kept. */
  find(name: StreamName): Promise<AnswerStream | null>;
  /** The live answer of a chat with the bot; null: there is none. */
  ofChat(bot: Bot, chatKey: string): Promise<AnswerStream | null>;
  /** Stops a live answer with `answer_stopped`; resolves once what was said is stored. False: it is not live. */
  stop(name: StreamName): Promise<boolean>;
  /** Counts something else that makes an answer; `abort` is called when the time to finish is over. Call what is returned at its end. */
  enter(abort: (reason: AppError) => void): () => void;
  /** Waits until no answer is under way, at most so long; then ends the others with `server_draining`, and waits for that. */
  drain(limitMs: number): Promise<void>;
}

interface Run extends AnswerStream {
  readonly broadcast: Broadcast<AnswerEvent>;
}

/** In characters of text. An answer that is longer than what is kept can be read to its end, but no longer from its start. */
const MAX_AHEAD = 64 * 1024;
const KEEP = 4 * 1024 ** 2;
/** An event beside its text. */
const EVENT_WEIGHT = 16;
const GRACE_MS = 30_000;
const LOST_AFTER_MS = 180_000;
/** Longer than answers take. */
const CHAT_NAME_MS = 3_600_000;
/** How long the storing of answers that were ended may take. */
const SETTLE_MS = 5_000;

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
  let onLeft: (() => void) | null = null;
  const stopCalls = createStopCalls({
    buffer,
    bus: options.bus,
    onCall(id) {
      const run = runs.get(id);
      if (run !== undefined) stopHere(run);
    },
  });

  function stopHere({ broadcast }: Run): void {
    if (!broadcast.isOver) broadcast.cancel(new AppError('answer_stopped', 'The answer was stopped.'));
  }

  function start(request: StreamRequest, id: string): Run {
    const { answer } = request;
    const about: StreamAbout = {
      id,
      tenantId: answer.bot.tenantId,
      botId: answer.bot.id,
      keyId: answer.keyId ?? null,
      endUser: answer.endUser ?? null,
      model: request.model,
      createdAt: clock.now(),
    };
    let used: TokenUsage | null = null;
    const onUsage = (usage: TokenUsage): void => {
      used = usage;
      request.reportUsage?.(usage);
    };
    const record = createRecorder({ buffer, logger }, about);
    const broadcast = createBroadcast<AnswerEvent>({
      produce: (signal) => answerer.answer({ ...answer, messageId: id }, signal, onUsage),
      weigh: weightOf,
      maxAhead: MAX_AHEAD,
      keep: KEEP,
      onBatch: record.batch,
      ...(request.isResumable === true ? { grace: { clock, milliseconds: graceMs } } : {}),
    });
    const settled = broadcast.settled.then(async () => {
      await record.end(broadcast);
      if (request.claim !== undefined) await settleClaim(request.claim, run);
      forget(request, run);
    });
    const run: Run = {
      about,
      isLive: true,
      used: () => used,
      broadcast,
      settled,
      read: ({ signal } = {}) => broadcast.read(signal === undefined ? {} : { signal }),
    };
    runs.set(id, run);
    if (request.chatKey !== undefined) {
      const name = chatName(answer.bot, request.chatKey);
      chats.set(name, run);
      void options.chatNames?.set(name, id, CHAT_NAME_MS);
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

  function forget({ chatKey, answer }: StreamRequest, run: Run): void {
    runs.delete(run.about.id);
    meter.gauge('chatsphere_answer_streams', {}, runs.size);
    const name = chatKey === undefined ? null : chatName(answer.bot, chatKey);
    if (name !== null && chats.get(name) === run) chats.delete(name);
    left();
  }

  function left(): void {
    if (runs.size === 0 && others.size === 0) onLeft?.();
  }

  function runOf({ tenantId, id }: StreamName): Run | null {
    const run = runs.get(id);
    return run?.about.tenantId === tenantId ? run : null;
  }

  async function find(name: StreamName): Promise<AnswerStream | null> {
    const run = runOf(name);
    if (run !== null) return run;
    const kept = await buffer.find(name);
    return kept === null ? null : readAgain(kept);
  }

  async function lookForClaimed(name: StreamName): Promise<AnswerStream | 'again' | null> {
    const run = runOf(name);
    if (run === null || isWorthReplaying(run)) return find(name);
    await run.settled;
    return 'again';
  }

  return {
    async begin(request) {
      const { claim, answer } = request;
      const id = createId('msg');
      const first =
        claim === undefined ? null : await claims.take(claim, { tenantId: answer.bot.tenantId, id }, lookForClaimed);
      return first === null ? { stream: start(request, id), isReplay: false } : { stream: first, isReplay: true };
    },
    find,
    async ofChat(bot, chatKey) {
      const name = chatName(bot, chatKey);
      const run = chats.get(name);
      if (run !== undefined) return run;
      const id = (await options.chatNames?.get(name)) ?? null;
      const kept = id === null ? null : await buffer.find({ tenantId: bot.tenantId, id });
      return kept === null || kept.isOver ? null : readAgain(kept);
    },
    async stop(name) {
      const run = runOf(name);
      if (run === null) return stopCalls.call(name, SETTLE_MS);
      if (run.broadcast.isOver) return false;
      stopHere(run);
      await atMost(SETTLE_MS, run.settled);
      return true;
    },
    enter(abort) {
      others.add(abort);
      return () => {
        if (others.delete(abort)) left();
      };
    },
    async drain(limitMs) {
      if (runs.size + others.size === 0) return;
      const gone = new Promise<void>((resolve) => {
        onLeft = resolve;
      });
      await atMost(limitMs, gone);
      const reason = new AppError(
        'server_draining',
        'The server is stopping, and the answer broke off. Resume it, or ask again.',
        {
          retryable: true,
          retryAfterMs: 5000,
        },
      );
      for (const { broadcast } of runs.values()) broadcast.cancel(reason);
      for (const abort of others) abort(reason);
      if (runs.size + others.size > 0) await atMost(SETTLE_MS, gone);
    },
  };
}

function chatName({ tenantId, id: botId }: Pick<Bot, 'tenantId' | 'id'>, chatKey: string): CacheKey {
  return cacheKey({ tenantId, botId }, 'chat', [chatKey]);
}

function readAgain({ about, read }: KeptStream): AnswerStream {
  return { about, isLive: false, used: () => null, settled: Promise.resolve(), read: (how) => read(how) };
}

/** What failed is better asked again; what was stopped was meant to be. */
function isWorthReplaying({ broadcast: { failure } }: Run): boolean {
  return failure === null || toAppError(failure.error).code === 'answer_stopped';
}

function weightOf(event: AnswerEvent): number {
  if (event.type === 'text-delta') return EVENT_WEIGHT + event.text.length;
  return event.type === 'tool-call-delta' ? EVENT_WEIGHT + event.argumentsText.length : EVENT_WEIGHT;
}

/** Hands what is said to the buffer, in order. A buffer that fails costs the resuming and not the answer. */
function createRecorder(
  { buffer, logger }: { readonly buffer: StreamBuffer; readonly logger: Logger },
  about: StreamAbout,
) {
  let written: Promise<void> | null = null;
  let isComplete = false;
  const write = (act: () => Promise<void>): void => {
    written = (written ?? buffer.open(about)).then(act);
    written.catch(() => {});
  };
  return {
    batch(batch: Batch<AnswerEvent>): void {
      isComplete = batch.items.at(-1)?.type === 'end';
      write(() => buffer.append(about.id, batch));
    },
    /** An answer that said nothing is not kept: its failure is the answer to the request. */
    async end({ failure, latest }: Broadcast<AnswerEvent>): Promise<void> {
      if (latest === 0) return;
      write(() => buffer.finish(about.id, isComplete && failure === null ? { type: 'complete' } : toEnding(failure)));
      try {
        await written;
      } catch (error) {
        logger.warn({ message: about.id, error }, 'an answer could not be kept for resuming');
      }
    },
  };
}

function toEnding(failure: { readonly error: unknown } | null): StreamEnding {
  if (failure === null) {
    return { type: 'failed', code: 'stream_interrupted', message: 'The answer broke off. Ask again.', retryable: true };
  }
  const { code, message, retryable } = toAppError(failure.error);
  return { type: 'failed', code, message, retryable };
}

async function atMost(milliseconds: number, promise: Promise<void>): Promise<void> {
  using deadline = createDeadline(milliseconds);
  const { signal } = deadline;
  await Promise.race([promise, new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))]);
}
