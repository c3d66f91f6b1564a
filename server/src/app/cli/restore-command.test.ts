import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../kernel/index.ts';
import { createRestoreCommand } from './restore-command.ts';

const FILE = fileURLToPath(import.meta.url);

async function adviceAfter({ place, text }: { readonly place: string; readonly text?: string }): Promise<string> {
  const command = createRestoreCommand({
    clock: systemClock,
    restore: async () => ({
      header: {
        ...{
          format: 'chatsphere-backup',
          version: 1,
          created_at: 1,
          program: 'test',
          engine: 'sqlite',
          migrations: [1],
        },
        secret: { fingerprint: 'f', ...(text === undefined ? {} : { text }) },
      },
      manifest: { tables: {}, files: { count: 0, bytes: 0, lost: [] }, sha256: '' },
      ...{ keys: 'other_secret', before: null, place },
    }),
    verify: () => Promise.reject(new Error('not asked for')),
    undo: () => Promise.reject(new Error('not asked for')),
  });
  const stderr = new PassThrough();
  await command.run({
    terminal: { stdin: new PassThrough(), stdout: new PassThrough(), stderr, color: false },
    ...{ positionals: [FILE], values: {}, json: false, signal: new AbortController().signal },
    connect: () => Promise.reject(new Error('not asked for')),
  });
  return String(stderr.read() ?? '');
}

describe('what restore says of a secret that is not the one of the backup', () => {
  it('names the variable, and the file of a data folder', async () => {
    const inFolder = await adviceAfter({ place: '/data' });
    expect(inFolder).toContain('Set CHATSPHERE_SECRET to that of the installation that was backed up');
    expect(inFolder).toContain('copy that file to /data/secret');
    expect(await adviceAfter({ place: 'postgres://db:5432/chatsphere' })).not.toContain('/data/secret');
  });

  it('says where the right one is when it was in the backup, and does not print it', async () => {
    const text = 'the-secret-itself';
    expect(await adviceAfter({ place: '/data', text })).toContain('what is in /data/secret, or leave it out');
    const inDatabase = await adviceAfter({ place: 'postgres://db:5432/chatsphere', text });
    expect(inDatabase).toContain(`gzip -dc ${FILE} | head -n 1`);
    expect(inDatabase).not.toContain(text);
  });
});
