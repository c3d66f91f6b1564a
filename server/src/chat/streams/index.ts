export { type AnswerStreams, createAnswerStreams } from './answer-streams.ts';
export { createMemoryStreamBuffer } from './memory-stream-buffer.ts';
export type {
  AnswerOrder,
  AnswerStream,
  KeptStream,
  StreamAbout,
  StreamBuffer,
  StreamEnding,
  StreamMaking,
  StreamName,
  TakenUp,
} from './ports.ts';
export { createStoredStream } from './stored-stream.ts';
export { isStreamUnavailable, streamUnavailable } from './stream-unavailable.ts';
