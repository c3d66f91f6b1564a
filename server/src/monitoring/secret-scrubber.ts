const REDACTED = '[redacted]';
const MAX_TEXT = 8_192;
const MAX_DEPTH = 8;
const MAX_ENTRIES = 100;
/** A literal secret shorter than this would blot out ordinary words. */
const MIN_LITERAL = 6;

const SECRET_NAMES =
  'authorization|proxy-authorization|cookie|set-cookie|x-api-key|(?:openai[-_]|admin[-_])?api[-_]?key|admin[-_]?key|' +
  '(?:client[-_]?)?secret|pepper|password|passwd|passphrase|(?:access[-_]?|refresh[-_]?|id[-_]?|auth[-_]?)?token|' +
  'private[-_]?key|credentials?';
const SECRET_NAME = new RegExp(`^(?:${SECRET_NAMES})s?$`, 'i');

/** Each with what stays of it. None looks back, so that no text takes more than linear time. */
const SECRET_SHAPES: readonly (readonly [RegExp, string])[] = [
  [/\bcs_(live|pub|test)_[0-9A-Za-z]+/g, `cs_$1_${REDACTED}`],
  [/\b(sk|pk|rk|pcsk|gsk|xai)([-_])[0-9A-Za-z_-]{8,}/g, `$1$2${REDACTED}`],
  [/\b(bearer)\s+[0-9A-Za-z._~+/=-]{6,}/gi, `$1 ${REDACTED}`],
  [/\beyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]*/g, REDACTED],
  [/\b(?:AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{35}|gh[opsu]_[0-9A-Za-z]{20,}|xox[abprs]-[0-9A-Za-z-]{10,})/g, REDACTED],
  [/(:\/\/[^\s/:@]*):[^\s/@]+@/g, `$1:${REDACTED}@`],
  [
    new RegExp(
      `\\b(${SECRET_NAMES})(["']?\\s*[:=]\\s*["']?)(?!\\[redacted)(?:(?:basic|bearer)\\s+)?[^\\s"'&,;})]+`,
      'gi',
    ),
    `$1$2${REDACTED}`,
  ],
];

export interface SecretScrubber {
  /** The text without secrets, cut to a bounded length. */
  text(text: string): string;
  /** A plain copy without secrets at any depth; errors become their name, message, code, stack and causes. */
  value(value: unknown): unknown;
}

/** Takes secrets out of what is logged: those it is told, and whatever looks or is named like one. */
export function createSecretScrubber(secrets: readonly string[] = []): SecretScrubber {
  const literals = secrets
    .flatMap((secret) => [secret, encodeURIComponent(secret)])
    .filter((secret) => secret.length >= MIN_LITERAL);

  function text(raw: string): string {
    let clean = raw.length > MAX_TEXT ? `${raw.slice(0, MAX_TEXT)} [${raw.length - MAX_TEXT} characters cut]` : raw;
    for (const literal of literals) clean = clean.replaceAll(literal, REDACTED);
    for (const [shape, rest] of SECRET_SHAPES) clean = clean.replace(shape, rest);
    return clean;
  }

  function copy(value: unknown, parents: readonly object[]): unknown {
    if (typeof value === 'string') return text(value);
    if (typeof value === 'bigint' || typeof value === 'symbol') return text(String(value));
    if (typeof value === 'function') return '[function]';
    if (typeof value !== 'object' || value === null) return value;
    if (parents.includes(value)) return '[circular]';
    if (parents.length >= MAX_DEPTH) return '[too deep]';
    return copyObject(value, [...parents, value]);
  }

  function copyObject(value: object, parents: readonly object[]): unknown {
    if (value instanceof Error) return copyError(value, parents);
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
    if (value instanceof URL) return text(value.href);
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`;
    if (value instanceof Map)
      return copyEntries(
        [...value].map(([key, item]) => [String(key), item]),
        parents,
      );
    if (value instanceof Set) return copy([...value], parents);
    if (Array.isArray(value)) return value.slice(0, MAX_ENTRIES).map((item) => copy(item, parents));
    return copyEntries(Object.entries(value), parents);
  }

  function copyEntries(entries: readonly (readonly [string, unknown])[], parents: readonly object[]): unknown {
    const copied = entries
      .slice(0, MAX_ENTRIES)
      .map(([name, value]) => [text(name), isSecret(name, value) ? REDACTED : copy(value, parents)] as const);
    return Object.fromEntries(copied);
  }

  /** Only what is known to be safe: vendors' errors carry requests, responses and configuration along. */
  function copyError(error: Error, parents: readonly object[]): unknown {
    const { code, status, statusCode, retryable, errors } = error as Error & Partial<Record<string, unknown>>;
    const known = { code, status, statusCode, retryable, cause: error.cause, errors };
    const present = Object.entries(known).filter(([, value]) => value !== undefined);
    return {
      type: text(error.name),
      message: text(error.message),
      ...(copyEntries(present, parents) as object),
      stack: text(error.stack ?? ''),
    };
  }

  return { text, value: (value) => copy(value, []) };
}

function isSecret(name: string, value: unknown): boolean {
  return SECRET_NAME.test(name) && value !== null && (typeof value === 'string' || typeof value === 'object');
}
