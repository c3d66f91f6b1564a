import type { ErrorCode } from '../../kernel/index.ts';

/** Faults of an input itself: it is refused, the other inputs go on. Anything else stops the stage. */
const CONTENT_FAULTS: readonly ErrorCode[] = [
  'unsupported_file_type',
  'empty_content',
  'binary_content',
  'invalid_encoding',
  'content_too_large',
  'parse_failed',
  'parse_timeout',
  'password_protected',
  'no_text_layer',
  'too_many_pages',
  'unpack_limit_exceeded',
  'parse_out_of_memory',
];

export function isContentFault(code: string): code is ErrorCode {
  return CONTENT_FAULTS.some((fault) => fault === code);
}
