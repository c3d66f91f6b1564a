import type { Clock } from '../../kernel/index.ts';
import type { ChatModelEvent } from '../ports.ts';
import { createEventParser, type ServerSentEvent } from '../server-sent-events.ts';
import { readJsonBody } from './provider-body.ts';
import { interrupted, invalidResponse } from './provider-errors.ts';
import type { ProviderResponse } from './provider-http.ts';

/** Makes sense of one answer, in the protocol of one provider. */
export interface AnswerReader {
  /**
   * Takes in the JSON of one event. `finished`: the model has ended its answer, only its usage may still follow; `done`:
   * nothing follows that matters. Throws what an error event says. `json`: as it was sent.
   */
  read(value: unknown, json?: string): 'more' | 'finished' | 'done';
  /** Takes in an event in mid-answer whose JSON it can do without parsing; false: `read` it. */
  skim?(json: string): boolean;
  /** What was said since the last time. */
  take(): readonly ChatModelEvent[];
  /** The last event, once the model has finished. */
  end(): ChatModelEvent;
}

const LARGEST_EVENT_BYTES = 1024 * 1024;

/** How long to wait for usage once the model has finished. */
const AFTER_FINISH_MS = 2000;
/** How long the body may take to end after that, so that its connection can be used again. */
const AFTER_DONE_MS = 100;

const LARGEST_ANSWER_BYTES = 8 * 1024 * 1024;

/**
 * Reads an answer from a response of status 200: an event stream, or one JSON body from a server that does not stream.
 */
export async function* readModelAnswer(
  response: ProviderResponse,
  reader: AnswerReader,
  clock: Clock,
): AsyncGenerator<ChatModelEvent> {
  const kind = response.header('content-type') ?? '';
  if (kind.includes('html')) throw invalidResponse('something else than an answer');
  if (!kind.includes('json')) {
    yield* readStream(response, reader, clock);
    return;
  }
  if (reader.read(await readJsonBody(response, LARGEST_ANSWER_BYTES)) === 'more') {
    throw invalidResponse('an incomplete answer');
  }
  yield* reader.take();
  yield reader.end();
}

/**
 * Reads a streamed answer. A stream that ends before the model has finished rejects with `stream_interrupted` (with
 * `provider_invalid_response` when there was nothing in it), a line that is no JSON with `provider_invalid_response`. Once the
 * model has finished the answer is whole: whatever goes wrong after it (no `[DONE]`, a reset, a server that does not hang
 * up) is ignored. What came at once is read at once, and its texts are one event: a fast server's tokens cost little, a
 * slow one's are passed on one by one.
 */
async function* readStream(
  response: ProviderResponse,
  reader: AnswerReader,
  clock: Clock,
): AsyncGenerator<ChatModelEvent> {
  const stream = createStream(response, reader);
  while (stream.progress() === 'more') {
    const failure = await stream.advance();
    yield* reader.take();
    if (failure !== null) throw failure;
  }
  if (stream.progress() === 'finished') await readRest(stream, clock);
  response.finish(AFTER_DONE_MS);
  yield reader.end();
}

interface Stream {
  progress(): 'more' | 'finished' | 'done';
  /** Reads what comes next. Resolves with what is wrong with it, after all that was said before it was taken in. */
  advance(): Promise<unknown>;
}

function createStream(response: ProviderResponse, reader: AnswerReader): Stream {
  const parser = createEventParser({ maxEventBytes: LARGEST_EVENT_BYTES });
  let progress: ReturnType<AnswerReader['read']> = 'more';
  let isEmpty = true;

  function take({ data, torn }: ServerSentEvent): void {
    if (progress === 'done') return;
    if (progress === 'more' && !torn && reader.skim?.(data) === true) return;
    const isMarker = data.startsWith('[DONE]');
    const value = isMarker ? undefined : parse(data);
    if (value !== undefined) {
      const next = reader.read(value, data);
      progress = next === 'more' ? progress : next;
      isEmpty = false;
    } else if (progress === 'finished') {
      // The answer is whole already.
      progress = isMarker ? 'done' : progress;
    } else if (isMarker || torn) {
      throw cutOff();
    } else {
      throw invalidResponse('a line that is no valid JSON');
    }
  }

  async function readNext(): Promise<void> {
    const pieces = await response.read();
    if (pieces !== null) {
      for (const piece of pieces) for (const event of parser.push(piece)) take(event);
      return;
    }
    const torn = parser.end();
    if (torn !== null) take(torn);
    if (progress === 'more') throw cutOff();
    progress = 'done';
  }

  function cutOff(): Error {
    return isEmpty ? invalidResponse('an empty answer') : interrupted();
  }

  return {
    progress: () => progress,
    async advance() {
      try {
        await readNext();
        return null;
      } catch (error) {
        if (progress === 'more') return error;
        progress = 'done';
        return null;
      }
    },
  };
}

function parse(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}

/** Reads what follows the end of the answer, which may be nothing, or nothing in time. */
async function readRest(stream: Stream, clock: Clock): Promise<void> {
  const waiting = new AbortController();
  const tooLate = clock.sleep(AFTER_FINISH_MS, waiting.signal).then(
    () => true,
    () => true,
  );
  const isOver = async (): Promise<boolean> => {
    await stream.advance();
    return stream.progress() === 'done';
  };
  while (!(await Promise.race([isOver(), tooLate])));
  waiting.abort();
}
