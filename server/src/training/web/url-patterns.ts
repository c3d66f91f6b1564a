/** Tells whether an address is wanted: it matches a pattern to include, if there are any, and none to exclude. */
export type UrlFilter = (url: URL) => boolean;

/**
 * A pattern is compared with the path of an address; with the path and the query when it holds a `?`; with the whole
 * address when it begins with `http://` or `https://`. `*` stands for any characters, also slashes. A pattern without `*`
 * means that page and everything below it.
 */
export function createUrlFilter(patterns: {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}): UrlFilter {
  const include = patterns.include.map(compile);
  const exclude = patterns.exclude.map(compile);
  return (url) => (include.length === 0 || include.some((one) => one(url))) && !exclude.some((one) => one(url));
}

function compile(pattern: string): UrlFilter {
  const whole = /^https?:\/\//i.test(pattern);
  const anchored = whole || pattern.startsWith('/') || pattern.startsWith('*') ? pattern : `/${pattern}`;
  const subjectOf = (url: URL): string => {
    if (whole) return `${url.origin}${url.pathname}${url.search}`;
    return anchored.includes('?') ? `${url.pathname}${url.search}` : url.pathname;
  };
  if (!anchored.includes('*')) {
    const below = anchored.endsWith('/') ? anchored : `${anchored}/`;
    return (url) => {
      const subject = subjectOf(url);
      return subject === anchored || subject.startsWith(below);
    };
  }
  const pieces = anchored.split(/\*+/);
  return (url) => matches(subjectOf(url), pieces);
}

/** The pieces occur in order, the first at the beginning and the last at the end: linear, unlike a regular expression. */
function matches(subject: string, pieces: readonly string[]): boolean {
  const first = pieces[0] ?? '';
  const last = pieces.at(-1) ?? '';
  if (!subject.startsWith(first) || subject.length < first.length + last.length) return false;
  const end = subject.length - last.length;
  let position = first.length;
  for (const piece of pieces.slice(1, -1)) {
    const found = subject.indexOf(piece, position);
    if (found < 0 || found + piece.length > end) return false;
    position = found + piece.length;
  }
  return subject.endsWith(last);
}
