export { type AnswerStream, type AnswerStreams, createAnswerStreams } from './answer-streams.ts';
export { createMemoryStreamBuffer } from './memory-stream-buffer.ts';
export type { KeptStream, StreamAbout, StreamBuffer, StreamEnding, StreamName } from './ports.ts';
export { createStoredStream } from './stored-stream.ts';
