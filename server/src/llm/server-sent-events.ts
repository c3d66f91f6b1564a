import { AppError } from '../kernel/index.ts';

export interface ServerSentEvent {
  /** `message` when the event has no name. */
  readonly event: string;
  readonly data: string;
  /** The last id seen so far; empty when there was none. */
  readonly id: string;
  /** True for a last event that the stream ended within: its data may be cut off. */
  readonly torn: boolean;
}

export interface ServerSentEventsOptions {
  /** Most UTF-8 bytes of one event; more rejects with `provider_invalid_response`. */
  readonly maxEventBytes: number;
}

/**
 * Reads an event stream as the HTML standard defines it (section 9.2, "Server-sent events"): any of the three line ends,
 * comments, several data lines an event, characters split between chunks, a byte order mark. Unlike browsers it hands
 * over a last event that was not closed by a blank line, marked as `torn`, so that a cut stream can be told from a whole
 * one. Takes time linear in the bytes however they are split, and holds one event at most. Returning the iterator
 * returns the stream's.
 */
export async function* readServerSentEvents(
  stream: AsyncIterable<Uint8Array>,
  { maxEventBytes }: ServerSentEventsOptions,
): AsyncGenerator<ServerSentEvent> {
  const decoder = new TextDecoder();
  const lines = createLineSplitter();
  const assembler = createEventAssembler();
  let heldBytes = 0;
  const hold = (text: string): void => {
    heldBytes += Buffer.byteLength(text) + 1;
    if (heldBytes > maxEventBytes) throw tooLarge();
  };
  for await (const chunk of stream) {
    const text = decoder.decode(chunk, { stream: true });
    for (const line of lines.push(text)) {
      hold(line);
      const event = assembler.addLine(line);
      if (line === '') heldBytes = 0;
      if (event !== null) yield event;
    }
    if (lines.pendingLength() > maxEventBytes) throw tooLarge();
  }
  const rest = lines.end(decoder.decode());
  if (rest !== '') assembler.addLine(rest);
  const torn = assembler.end();
  if (torn !== null) yield torn;
}

function tooLarge(): AppError {
  return new AppError('provider_invalid_response', 'The provider sent an event that is too large.');
}

/** Splits text that comes in pieces into lines. A CR at the end of a piece ends its line at once; an LF after it is skipped. */
function createLineSplitter() {
  let pending: string[] = [];
  let pendingLength = 0;
  let skipLineFeed = false;

  function takePending(last: string): string {
    if (pending.length === 0) return last;
    pending.push(last);
    const line = pending.join('');
    pending = [];
    pendingLength = 0;
    return line;
  }

  return {
    *push(text: string): Generator<string> {
      if (text === '') return;
      let start = skipLineFeed && text.startsWith('\n') ? 1 : 0;
      skipLineFeed = false;
      const lineEnd = /\r\n|\r|\n/g;
      lineEnd.lastIndex = start;
      for (let match = lineEnd.exec(text); match !== null; match = lineEnd.exec(text)) {
        yield takePending(text.slice(start, match.index));
        start = lineEnd.lastIndex;
        skipLineFeed = match[0] === '\r' && start === text.length;
      }
      if (start < text.length) {
        pending.push(text.slice(start));
        pendingLength += text.length - start;
      }
    },
    /** UTF-16 units of the unfinished line: never more than its bytes. */
    pendingLength: () => pendingLength,
    end: (text: string): string => takePending(text),
  };
}

function createEventAssembler() {
  let name = '';
  let data: string[] = [];
  let id = '';

  function take(torn: boolean): ServerSentEvent | null {
    const event = data.length === 0 ? null : { event: name === '' ? 'message' : name, data: data.join('\n'), id, torn };
    name = '';
    data = [];
    return event;
  }

  function addField(field: string, value: string): void {
    if (field === 'data') data.push(value);
    else if (field === 'event') name = value;
    else if (field === 'id' && !value.includes('\0')) id = value;
  }

  return {
    /** Takes one line; gives the event that a blank line completes. */
    addLine(line: string): ServerSentEvent | null {
      if (line === '') return take(false);
      const colon = line.indexOf(':');
      if (colon < 0) addField(line, '');
      else if (colon > 0) addField(line.slice(0, colon), line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1));
      return null;
    },
    end: (): ServerSentEvent | null => take(true),
  };
}
