import { StringDecoder } from 'node:string_decoder';
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

export interface EventParserOptions {
  /** Most UTF-8 bytes of one event; more throws `provider_invalid_response`. */
  readonly maxEventBytes: number;
}

export interface EventParser {
  /** The events that these bytes complete. */
  push(bytes: Uint8Array): readonly ServerSentEvent[];
  /** The event that the stream ended within, if any. */
  end(): ServerSentEvent | null;
}

/**
 * Parses an event stream as the HTML standard defines it (section 9.2, "Server-sent events"): any of the three line ends,
 * comments, several data lines an event, characters split between chunks, a byte order mark. Unlike browsers it hands
 * over a last event that was not closed by a blank line, marked as `torn`, so that a cut stream can be told from a whole
 * one. Takes time linear in the bytes however they are split, and holds one event at most.
 */
export function createEventParser({ maxEventBytes }: EventParserOptions): EventParser {
  const decoder = new StringDecoder('utf8');
  const assembler = createEventAssembler();
  let isFirst = true;
  let skipLineFeed = false;
  /** The unfinished line, in the pieces that it came in. */
  let pending: string[] = [];
  let pendingLength = 0;
  let heldBytes = 0;

  function takeLine(last: string): string {
    if (pending.length === 0) return last;
    pending.push(last);
    const line = pending.join('');
    pending = [];
    pendingLength = 0;
    return line;
  }

  function addLine(line: string, events: ServerSentEvent[]): void {
    heldBytes += Buffer.byteLength(line) + 1;
    if (heldBytes > maxEventBytes) throw tooLarge();
    const event = assembler.addLine(line);
    if (line === '') heldBytes = 0;
    if (event !== null) events.push(event);
  }

  function decode(bytes: Uint8Array): string {
    const text = decoder.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    if (!isFirst || text === '') return text;
    isFirst = false;
    return text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text;
  }

  /**
   * Takes the whole events at the front that are one data line and an empty one, as nearly all are. Returns where the
   * rest starts.
   */
  function takePlain(text: string, from: number, events: ServerSentEvent[]): number {
    let start = from;
    while (assembler.isEmpty() && text.startsWith(PLAIN_FIELD, start)) {
      const lineEnd = text.indexOf('\n', start);
      // A UTF-16 unit is at most three bytes.
      if (lineEnd < 0 || text.charCodeAt(lineEnd + 1) !== LINE_FEED || (lineEnd - start) * 3 > maxEventBytes) break;
      events.push(assembler.plain(text.slice(start + PLAIN_FIELD.length, lineEnd)));
      heldBytes = 0;
      start = lineEnd + 2;
    }
    return start;
  }

  return {
    push(bytes) {
      const text = decode(bytes);
      const events: ServerSentEvent[] = [];
      if (text === '') return events;
      let start = skipLineFeed && text.charCodeAt(0) === LINE_FEED ? 1 : 0;
      skipLineFeed = false;
      let returnAt = text.indexOf('\r', start);
      if (returnAt < 0 && pending.length === 0) start = takePlain(text, start, events);
      let feedAt = text.indexOf('\n', start);
      while (returnAt >= 0 || feedAt >= 0) {
        const isReturn = returnAt >= 0 && (feedAt < 0 || returnAt < feedAt);
        const lineEnd = isReturn ? returnAt : feedAt;
        addLine(takeLine(text.slice(start, lineEnd)), events);
        // A CR at the end of a piece ends its line at once; an LF after it is skipped.
        start = isReturn && feedAt === lineEnd + 1 ? lineEnd + 2 : lineEnd + 1;
        if (isReturn && start === text.length && feedAt !== lineEnd + 1) skipLineFeed = true;
        if (isReturn) returnAt = text.indexOf('\r', start);
        if (feedAt >= 0 && feedAt < start) feedAt = text.indexOf('\n', start);
      }
      if (start < text.length) {
        pending.push(text.slice(start));
        pendingLength += text.length - start;
        // UTF-16 units are never more than bytes.
        if (pendingLength > maxEventBytes) throw tooLarge();
      }
      return events;
    },
    end() {
      const rest = takeLine(decoder.end());
      if (rest !== '') assembler.addLine(rest);
      return assembler.end();
    },
  };
}

const PLAIN_FIELD = 'data: ';
const LINE_FEED = 0x0a;
const BYTE_ORDER_MARK = 0xfeff;

function tooLarge(): AppError {
  return new AppError('provider_invalid_response', 'The provider sent an event that is too large.');
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
    /** Whether nothing of an event has come yet. */
    isEmpty: (): boolean => data.length === 0 && name === '',
    /** An event of one line of data. */
    plain: (line: string): ServerSentEvent => ({ event: 'message', data: line, id, torn: false }),
  };
}
