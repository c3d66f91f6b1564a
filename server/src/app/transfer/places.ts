import { resolve } from 'node:path';
import { AppError } from '../../kernel/index.ts';

/** A database that rows are taken from or brought to. */
export type Place =
  | { readonly kind: 'sqlite'; readonly folder: string }
  | { readonly kind: 'postgres'; readonly url: string };

/**
 * Reads `postgres://...` or `sqlite:FOLDER`.
 *
 * @throws AppError `configuration_invalid`, without the text, which may hold a password
 */
export function parsePlace(text: string): Place {
  if (/^postgres(ql)?:\/\//.test(text)) {
    if (URL.canParse(text) && new URL(text).pathname.length > 1) return { kind: 'postgres', url: text };
    throw new AppError('configuration_invalid', 'The postgres:// address must name a host and a database.');
  }
  const folder = /^sqlite:(?:\/\/(?=\/))?(.+)$/.exec(text)?.[1];
  if (folder !== undefined) return { kind: 'sqlite', folder: resolve(folder) };
  throw new AppError('configuration_invalid', 'A place is postgres://... or sqlite:FOLDER (a data folder).');
}

/** What a place is called, without user and password. */
export function placeName(place: Place): string {
  if (place.kind === 'sqlite') return `sqlite:${place.folder}`;
  const { hostname, port, pathname } = new URL(place.url);
  return `postgres://${hostname}:${port === '' ? '5432' : port}${pathname}`;
}
