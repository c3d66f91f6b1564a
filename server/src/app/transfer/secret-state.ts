import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackupHeader } from '../../store/index.ts';

/** What a backup says of the secret that API keys are hashed with: its text when it is in the data folder and wanted. */
export async function secretForBackup(options: {
  readonly dataFolder: string;
  readonly configured: string | null;
  readonly leaveOut: boolean;
}): Promise<BackupHeader['secret']> {
  if (options.configured !== null) return { fingerprint: fingerprintOf(options.configured) };
  const text = await secretInFolder(options.dataFolder);
  if (text === null) return null;
  return options.leaveOut ? { fingerprint: fingerprintOf(text) } : { fingerprint: fingerprintOf(text), text };
}

/** `valid`: API keys of the backup work after the restore. `other`: they need the secret of where they were made. */
export type KeysAfterRestore = 'valid' | 'other_secret';

export async function keysAfterRestore(
  backup: BackupHeader['secret'],
  options: { readonly dataFolder: string; readonly configured: string | null },
): Promise<KeysAfterRestore> {
  if (backup === null) return 'valid';
  const effective = options.configured ?? backup.text ?? (await secretInFolder(options.dataFolder));
  return effective !== null && fingerprintOf(effective) === backup.fingerprint ? 'valid' : 'other_secret';
}

/** Null: there is none, or its file is empty. */
export async function secretInFolder(folder: string): Promise<string | null> {
  const text = await readFile(join(folder, 'secret'), 'utf8').catch(() => null);
  return text === null || text.trim() === '' ? null : text.trim();
}

/** Enough to tell two secrets apart; the secret has 256 bits and more, so that it cannot be found by trying. */
function fingerprintOf(secret: string): string {
  return createHash('sha256').update('chatsphere secret fingerprint\n').update(secret).digest('hex').slice(0, 16);
}
