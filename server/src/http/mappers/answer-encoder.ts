import type { AnswerEvent } from '../../chat/index.ts';
import type { WireError } from '../contract/index.ts';

type AnswerUsed = Extract<AnswerEvent, { readonly type: 'end' }>['usage'];

/** Makes the server-sent events of one answer, in one format. The events of an answer are given in order. */
export interface AnswerEncoder {
  /** What this format says of itself. */
  readonly headers: Readonly<Record<string, string>>;
  /** The frames of the event of this number; the last of them bears it as its id. */
  encode(number: number, event: AnswerEvent): string;
  /** An event that the client has; what is returned must be sent again all the same. `isLast`: it is the last that it has. */
  skip(number: number, event: AnswerEvent, isLast: boolean): string;
  /** After the `end` event. */
  done(number: number): string;
  /** Somebody stopped the answer: a clean end, which does not say that the answer is whole. */
  stopped(number: number): string;
  /** The answer broke off. When it can be resumed `number` is that of the last event before. `used`: by then; null: not known. */
  failed(number: number, error: WireError, used: AnswerUsed | null): string;
}
