import { AppError } from '../../kernel/index.ts';
import type { LoadedText } from './loaded-text.ts';
import { cleanText } from './text-cleaning.ts';

const DEEPEST = 100;
/** Fields that name a record, best first. */
const NAMES = ['title', 'name', 'heading', 'question', 'subject', 'label', 'id', 'key'];
const LONGEST_NAME = 200;

/**
 * Reads JSON as text: each record of a list under a heading of its own name, fields as `- field: value`, what is nested
 * indented below.
 *
 * @throws AppError `parse_failed` when it is no JSON or nested more than 100 deep.
 */
export function loadJson(source: string, name: string): LoadedText {
  const value = parseJson(source, (reason) => `"${name}" is not valid JSON: ${reason}. Mend it and upload it again.`);
  return { title: null, text: cleanText(renderTop(value, name)), layout: 'markdown' };
}

/**
 * Reads one JSON value a line as the records of a list.
 *
 * @throws AppError `parse_failed` that names the first line that is no JSON.
 */
export function loadJsonLines(source: string, name: string): LoadedText {
  const records: unknown[] = [];
  for (const [position, line] of source.split('\n').entries()) {
    if (line.trim() === '') continue;
    const place = `Line ${position + 1} of "${name}"`;
    records.push(parseJson(line, (reason) => `${place} is not valid JSON: ${reason}. Mend it and upload it again.`));
  }
  return { title: null, text: cleanText(renderTop(records, name)), layout: 'markdown' };
}

function parseJson(text: string, explain: (reason: string) => string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (cause) {
    const place = cause instanceof Error ? /at position \d+( \(line \d+ column \d+\))?/.exec(cause.message)?.[0] : null;
    throw new AppError('parse_failed', explain(place ? `it breaks ${place}` : 'it ends too early'), { cause });
  }
}

function renderTop(value: unknown, name: string): string {
  if (!Array.isArray(value) || !value.some(isRecord)) return renderValue(value, { name, depth: 0 });
  return value
    .map((record, position) =>
      isRecord(record)
        ? `## ${nameOf(record) ?? `Record ${position + 1}`}\n\n${renderValue(record, { name, depth: 0 })}`
        : renderValue([record], { name, depth: 0 }),
    )
    .join('\n\n');
}

function renderValue(value: unknown, place: { readonly name: string; readonly depth: number }): string {
  if (place.depth > DEEPEST) {
    throw new AppError('parse_failed', `"${place.name}" is nested more than ${DEEPEST} deep. Flatten it.`);
  }
  if (!isRecord(value) && !Array.isArray(value)) return plain(value);
  const indent = '  '.repeat(Math.min(place.depth, 8));
  const entries: readonly (readonly [string | null, unknown])[] = Array.isArray(value)
    ? value.map((item) => [null, item])
    : Object.entries(value);
  return entries
    .map(([field, item]) => {
      const label = field === null ? '' : `${plain(field)}: `;
      if (!isRecord(item) && !Array.isArray(item)) return `${indent}- ${label}${plain(item)}`;
      const list = Array.isArray(item) && item.every((one) => !isRecord(one) && !Array.isArray(one));
      if (list) return `${indent}- ${label}${item.map(plain).join(', ')}`;
      return `${indent}- ${label.trimEnd()}\n${renderValue(item, { ...place, depth: place.depth + 1 })}`;
    })
    .filter((line) => line.trim() !== '')
    .join('\n');
}

function nameOf(record: Readonly<Record<string, unknown>>): string | null {
  for (const field of NAMES) {
    const value = record[field];
    if (typeof value !== 'string' && typeof value !== 'number') continue;
    const name = plain(value).slice(0, LONGEST_NAME);
    if (name !== '') return name;
  }
  return null;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function plain(value: unknown): string {
  return (value === null || value === undefined ? '' : String(value)).replace(/\s+/g, ' ').trim();
}
