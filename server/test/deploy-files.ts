import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';

export const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));

export function readExample(path: string): string {
  return readFileSync(join(REPOSITORY, path), 'utf8');
}

/** Paths of all files below a folder of the repository, from its root. */
export function filesBelow(folder: string): readonly string[] {
  return readdirSync(join(REPOSITORY, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(REPOSITORY, join(entry.parentPath, entry.name)))
    .sort();
}

/** A part of parsed YAML or JSON that is looked into by path; what is not there is undefined. */
export type Tree = { readonly [key: string]: Tree } & { readonly [index: number]: Tree };

/** All documents of a YAML text. Throws what the parser warns of, duplicate keys among it. */
export function parseYaml(text: string): readonly Tree[] {
  return parseAllDocuments(text, { merge: true, uniqueKeys: true }).flatMap((document) => {
    for (const fault of [...document.errors, ...document.warnings]) throw fault;
    const tree: unknown = document.toJS();
    return tree === null ? [] : [tree as Tree];
  });
}

/** All values in a tree, with the path that leads to each. */
export function* leavesOf(
  tree: unknown,
  path: readonly string[] = [],
): Generator<readonly [readonly string[], unknown]> {
  if (typeof tree !== 'object' || tree === null) {
    yield [path, tree];
    return;
  }
  for (const [key, value] of Object.entries(tree)) yield* leavesOf(value, [...path, key]);
}

/** Names of settings in docs/configuration.md. */
export function documentedSettings(): ReadonlySet<string> {
  const text = readExample('docs/configuration.md');
  return new Set([...text.matchAll(/`([A-Z][A-Z0-9_]{2,})(?:=[^`]*)?`/g)].map(([, name = '']) => name));
}
