/**
 * Removes what stands between each opening and the closing after it, both included. Linear also when openings are never
 * closed, which a lazy regular expression is not; an opening without a closing stays.
 */
export function removeBetween(text: string, opening: string | RegExp, closing: string | RegExp): string {
  return replaceBetween(text, { opening, closing }, () => '');
}

/** Replaces each range from an opening to the closing after it, both included, by what `replace` makes of it. */
export function replaceBetween(
  text: string,
  border: { readonly opening: string | RegExp; readonly closing: string | RegExp },
  replace: (range: string) => string,
): string {
  const kept: string[] = [];
  let position = 0;
  for (;;) {
    const start = find(text, border.opening, position);
    const end = start === null ? null : find(text, border.closing, start.end);
    if (start === null || end === null) break;
    kept.push(text.slice(position, start.start), replace(text.slice(start.start, end.end)));
    position = end.end;
  }
  return kept.length === 0 ? text : kept.join('') + text.slice(position);
}

function find(
  text: string,
  what: string | RegExp,
  from: number,
): { readonly start: number; readonly end: number } | null {
  if (typeof what === 'string') {
    const start = text.indexOf(what, from);
    return start < 0 ? null : { start, end: start + what.length };
  }
  const pattern = new RegExp(what.source, what.flags);
  pattern.lastIndex = from;
  const match = pattern.exec(text);
  return match === null ? null : { start: match.index, end: match.index + match[0].length };
}
