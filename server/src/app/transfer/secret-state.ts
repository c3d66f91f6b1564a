import type { BackupHeader } from '../../store/index.ts';
import { secretInFolder } from '../data-folder.ts';
import { fingerprintOf } from '../secret-fingerprint.ts';

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
