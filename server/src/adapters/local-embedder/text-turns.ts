import type { RightOfWay } from '../../resilience/index.ts';

/** Who waits for a text: a visitor, training, or nobody in particular. */
export type Urgency = 'query' | 'training' | 'background';

/** Shares one slow machine among callers of different urgency. */
export interface TextTurns {
  /** The results of the texts, in order. Rejects with the signal's reason, or with the first failure of the machine. */
  run(
    texts: readonly string[],
    options: { readonly urgency: Urgency; readonly signal?: AbortSignal | undefined },
  ): Promise<Float32Array[]>;
}

/** Characters that go to the machine at a time: few, as nobody can interrupt it; more where texts are tiny. */
const CHARACTERS_A_TURN = 640;
const TEXTS_A_TURN = 32;
const ORDER: readonly Urgency[] = ['query', 'training', 'background'];

interface Call {
  readonly texts: readonly string[];
  readonly results: Float32Array[];
  /** Texts that were sent. */
  begun: number;
  readonly resolve: (results: Float32Array[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Calls are cut into small turns; the next turn belongs to the most urgent call, the earliest among equals. Those in the
 * background give way before each turn.
 */
export function createTextTurns(
  machine: (texts: readonly string[]) => Promise<readonly Float32Array[]>,
  giveWay?: RightOfWay['giveWay'],
): TextTurns {
  let somebodyCame = new AbortController();
  const lines = new Map<Urgency, Set<Call>>(ORDER.map((urgency) => [urgency, new Set<Call>()]));
  let isRunning = false;

  function nextCall(): Call | undefined {
    for (const urgency of ORDER) for (const call of lines.get(urgency) ?? []) return call;
    return undefined;
  }

  async function runAll(): Promise<void> {
    isRunning = true;
    for (let call = nextCall(); call !== undefined; call = nextCall()) {
      const way = lines.get('background')?.has(call) ? giveWay?.(somebodyCame.signal) : undefined;
      if (way === undefined) await takeTurn(call);
      // Whoever came meanwhile may be more urgent, and the call may have been given up.
      else await way.catch(() => {});
    }
    isRunning = false;
  }

  function comeIn(call: Call, urgency: Urgency): void {
    lines.get(urgency)?.add(call);
    if (!isRunning) void runAll();
    else if (urgency !== 'background') {
      somebodyCame.abort();
      somebodyCame = new AbortController();
    }
  }

  async function takeTurn(call: Call): Promise<void> {
    const texts = nextTexts(call);
    call.begun += texts.length;
    if (call.begun === call.texts.length) leave(call);
    try {
      call.results.push(...(await machine(texts)));
      if (call.results.length === call.texts.length) call.resolve(call.results);
    } catch (error) {
      leave(call);
      call.reject(error);
    }
  }

  function leave(call: Call): void {
    for (const line of lines.values()) line.delete(call);
  }

  return {
    run(texts, { urgency, signal }) {
      if (texts.length === 0) return Promise.resolve([]);
      return new Promise<Float32Array[]>((resolve, reject) => {
        const onAbort = (): void => {
          leave(call);
          reject(signal?.reason);
        };
        const done = (settle: () => void): void => {
          signal?.removeEventListener('abort', onAbort);
          settle();
        };
        const call: Call = {
          texts,
          results: [],
          begun: 0,
          resolve: (results) => done(() => resolve(results)),
          reject: (error) => done(() => reject(error)),
        };
        if (signal?.aborted) return reject(signal.reason);
        signal?.addEventListener('abort', onAbort, { once: true });
        comeIn(call, urgency);
      });
    },
  };
}

function nextTexts({ texts, begun }: Call): readonly string[] {
  let characters = 0;
  let end = begun;
  while (end < texts.length && end - begun < TEXTS_A_TURN) {
    characters += texts[end]?.length ?? 0;
    if (end > begun && characters > CHARACTERS_A_TURN) break;
    end += 1;
  }
  return texts.slice(begun, end);
}
