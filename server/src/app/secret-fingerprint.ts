import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { AppError } from '../kernel/index.ts';
import type { Store } from '../store/index.ts';
import { secretInFolder } from './data-folder.ts';
import { SECRET_FINGERPRINT } from './first-start-names.ts';

/** Enough to tell two secrets apart; the secret has 256 bits and more, so that it cannot be found by trying. */
export function fingerprintOf(secret: string): string {
  return createHash('sha256').update('chatsphere secret fingerprint\n').update(secret).digest('hex').slice(0, 16);
}

export interface SecretCheck {
  /** The secret that this process has. */
  readonly secret: string;
  /** It comes from `CHATSPHERE_SECRET`, not from the data folder. */
  readonly isConfigured: boolean;
  readonly dataFolder: string;
  /** `keep`: a database without a fingerprint gets this one's. `replace`: so does one with another. `check`: neither. */
  readonly mode: 'check' | 'keep' | 'replace';
}

export interface CheckedSecret {
  /** It takes the place of another one: no key of before is valid any more. */
  readonly isNew: boolean;
  /** Keeps its fingerprint for later starts, as the mode says. Call it once what depends on the secret is made. */
  keep(): Promise<void>;
}

/**
 * Compares the secret with that of the database, of which a fingerprint is in its settings.
 *
 * @throws AppError `secret_mismatch`, saying where the right one belongs
 */
export async function checkSecret({ system }: Pick<Store, 'system'>, check: SecretCheck): Promise<CheckedSecret> {
  const own = fingerprintOf(check.secret);
  const known = await system.getSetting(SECRET_FINGERPRINT);
  const isKnown = known === own;
  if (!isKnown && known !== null && check.mode !== 'replace') throw await mismatch(known, check);
  return {
    isNew: !isKnown && known !== null,
    async keep() {
      if (!isKnown && check.mode !== 'check') await system.setSetting(SECRET_FINGERPRINT, own);
    },
  };
}

async function mismatch(known: string, { isConfigured, dataFolder }: SecretCheck): Promise<AppError> {
  const file = join(dataFolder, 'secret');
  const inFolder = isConfigured ? await secretInFolder(dataFolder) : null;
  const what = isConfigured ? 'CHATSPHERE_SECRET' : `The secret in ${file}`;
  let remedy = 'Set CHATSPHERE_SECRET to the one of before';
  if (inFolder !== null && fingerprintOf(inFolder) === known) {
    remedy = `The right one is in ${file}: set CHATSPHERE_SECRET to that, or leave it out without DATABASE_URL`;
  } else if (!isConfigured) remedy = `${remedy}, or bring back that file`;
  return new AppError(
    'secret_mismatch',
    `${what} is not the secret that the API keys of this database were made with: all of them would be refused. ${remedy}. If it is lost, start once with: chatsphere serve --new-secret. All API keys must be made anew then.`,
  );
}
