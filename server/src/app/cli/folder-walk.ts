import { readdir, stat } from 'node:fs/promises';
import { basename, extname, join, relative, sep } from 'node:path';
import { TRAINABLE_EXTENSIONS } from '../../training/file-kinds/index.ts';
import { CliError, EXIT } from './cli-error.ts';

export interface FileToTrain {
  readonly path: string;
  /** The path below the named folder with `/`, or the file's name: stable from run to run. */
  readonly externalKey: string;
}

export interface WalkResult {
  readonly files: readonly FileToTrain[];
  /** Files of kinds that cannot be trained on. */
  readonly skipped: readonly string[];
}

const TRAINABLE: ReadonlySet<string> = new Set(TRAINABLE_EXTENSIONS);
const IGNORED_FOLDERS = new Set(['node_modules', '__pycache__']);

/**
 * The files below the given paths, in name order. Hidden files and folders are left out; a file named by itself is
 * taken whatever its kind, so that the server says what is wrong with it.
 */
export async function walkPaths(paths: readonly string[]): Promise<WalkResult> {
  const files: FileToTrain[] = [];
  const skipped: string[] = [];
  for (const path of paths) {
    const found = await stat(path).catch(() => null);
    if (found === null)
      throw new CliError(EXIT.notFound, `There is no file or folder "${path}".`, {
        code: 'path_not_found',
        hint: 'Check the path.',
      });
    if (!found.isDirectory()) {
      files.push({ path, externalKey: basename(path) });
      continue;
    }
    for (const file of await filesBelow(path)) {
      if (TRAINABLE.has(extname(file).toLowerCase()))
        files.push({ path: file, externalKey: relative(path, file).split(sep).join('/') });
      else skipped.push(file);
    }
  }
  return { files: withUniqueKeys(files), skipped };
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  const files: string[] = [];
  for (const entry of entries) {
    if (entry.name.startsWith('.')) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !IGNORED_FOLDERS.has(entry.name)) files.push(...(await filesBelow(path)));
    else if (entry.isFile()) files.push(path);
  }
  return files;
}

/** Two folders may hold files of the same relative name: the later one keeps its whole path as the key. */
function withUniqueKeys(files: readonly FileToTrain[]): FileToTrain[] {
  const taken = new Set<string>();
  return files.map((file) => {
    const externalKey = taken.has(file.externalKey) ? file.path.split(sep).join('/') : file.externalKey;
    taken.add(externalKey);
    return { ...file, externalKey };
  });
}
