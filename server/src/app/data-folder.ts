import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../kernel/index.ts';

/** Makes the data folder, readable by its owner alone. */
export async function ensureDataFolder(folder: string): Promise<void> {
  try {
    await makeFolder(folder);
  } catch (cause) {
    const { code = 'unknown' } = cause as NodeJS.ErrnoException;
    throw new AppError(
      'configuration_invalid',
      `The data folder ${folder} cannot be made (${code}). Name a folder that you may write to: --data-dir, CHATSPHERE_DATA_DIR, or --to sqlite:FOLDER of a migration.`,
      { cause },
    );
  }
}

/** Level by level: Node's recursive mkdir does not end below some special folders. */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(folder)).isDirectory()) return;
    if (code !== 'ENOENT' || dirname(folder) === folder || (await exists(dirname(folder)))) throw error;
    await makeFolder(dirname(folder));
    await mkdir(folder, { mode: 0o700 });
  }
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** The secret that the data folder keeps. Null: there is none, or its file is empty. */
export async function secretInFolder(folder: string): Promise<string | null> {
  const text = await readFile(join(folder, 'secret'), 'utf8').catch(() => null);
  return text === null || text.trim() === '' ? null : text.trim();
}

/** The secret of the installation: from the configuration, else from the data folder, made at the first start. */
export async function loadSecret(folder: string, configured: string | null): Promise<string> {
  if (configured !== null) return configured;
  const path = join(folder, 'secret');
  const existing = await readFile(path, 'utf8').catch(() => null);
  if (existing !== null && existing.trim().length >= 32) return existing.trim();
  if (existing !== null)
    throw new AppError(
      'configuration_invalid',
      `The file ${path} is damaged. Restore it from a backup: API keys depend on it.`,
    );
  return makeSecret(folder, path);
}

/** Written beside and moved into place once it is whole and synced: a crash leaves no half of it. */
async function makeSecret(folder: string, path: string): Promise<string> {
  const secret = randomBytes(48).toString('base64url');
  const temporary = `${path}.${process.pid}`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.writeFile(`${secret}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const directory = await open(folder, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
  return secret;
}
