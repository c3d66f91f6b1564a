import { createRequire } from 'node:module';
import { namesIn } from './model-choice.ts';

const DEFAULT = '@langchain/textsplitters';
const { resolve } = createRequire(import.meta.url);

interface SplitterEnvironment {
  readonly CHUNKING_MODULES?: string | undefined;
}

/** The packages whose text splitters may be named. */
export function modulesOf({ CHUNKING_MODULES: list = DEFAULT }: SplitterEnvironment): readonly string[] {
  return namesIn(list);
}

/** The one that may be named without being asked for need not be installed. */
export function moduleFaults({ CHUNKING_MODULES: list = '' }: SplitterEnvironment): readonly string[] {
  return namesIn(list)
    .filter((name) => name !== DEFAULT && !isInstalled(name))
    .map(
      (name) =>
        `CHUNKING_MODULES: the package "${name}" is not installed; install it beside the server, or leave it out`,
    );
}

/** A package that has only an entry for `import` is there, too. */
function isInstalled(name: string): boolean {
  try {
    resolve(name);
    return true;
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND');
  }
}
