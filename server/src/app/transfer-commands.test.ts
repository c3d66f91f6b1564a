import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../kernel/index.ts';
import { runCli } from './cli/run-cli.ts';
import { openData } from './transfer/sample-installation.contract.ts';
import { createTransferCommands } from './transfer-commands.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'chatsphere-commands-'));
});
afterAll(() => rm(root, { recursive: true }));

async function run(...args: readonly string[]) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const code = await runCli([...args, '--json'], {
    version: 'test',
    terminal: { stdin: new PassThrough(), stdout, stderr, color: false },
    clock: systemClock,
    signal: new AbortController().signal,
    applicationCommands: createTransferCommands({ version: 'test', documentation: 'none' }),
    connect: () => Promise.reject(new Error('nobody connects')),
  });
  const lastLine = (stream: PassThrough) => (stream.read() as Buffer | null)?.toString().trim().split('\n').at(-1);
  return {
    code,
    out: JSON.parse(lastLine(stdout) ?? '{}'),
    error: JSON.parse(lastLine(stderr) ?? '{}').error,
  };
}

describe('commands on whole installations', { timeout: 60_000 }, () => {
  it('say that there is no such data folder, and make none', async () => {
    const folder = join(root, 'missing');
    const to = `sqlite:${join(root, 'target')}`;
    for (const args of [
      ['migrate', '--data-dir', folder, '--to', to],
      ['migrate', '--data-dir', folder, '--to', to, '--dry-run'],
      ['migrate', '--from', `sqlite:${folder}`, '--to', to],
      ['backup', join(root, 'x.backup'), '--data-dir', folder],
      ['restore', '--rollback', '--data-dir', folder],
    ]) {
      const { code, error } = await run(...args);
      expect({ args, code, error: error.code }).toEqual({ args, code: 3, error: 'installation_not_found' });
      expect(error.message).toContain(folder);
      expect(error.message).toContain('--data-dir');
    }
    expect(await readdir(root)).toEqual([]);
  });

  it.skipIf(process.platform !== 'linux')('say that a folder cannot be written to', async () => {
    const backup = join(root, 'some.backup');
    await writeFile(backup, 'no backup');
    const source = join(root, 'source');
    await (await openData(await newFolder('source'))).store.stop();
    for (const args of [
      ['migrate', '--data-dir', '/proc', '--to', `sqlite:${join(root, 'target')}`],
      ['migrate', '--data-dir', source, '--to', 'sqlite:/proc/there'],
      ['migrate', '--data-dir', source, '--to', `sqlite:${backup}`],
      ['restore', backup, '--data-dir', '/proc'],
      ['restore', backup, '--data-dir', '/proc/there'],
    ]) {
      const { code, error } = await run(...args);
      expect({ args, code, error: error.code }).toEqual({ args, code: 2, error: 'configuration_invalid' });
      expect(error.message).toMatch(/cannot be (made|written to) \(E[A-Z]+\)/);
    }
    const missing = await run('backup', join(root, 'no', 'such', 'folder.backup'), '--data-dir', source);
    expect(missing).toMatchObject({ code: 1, error: { code: 'path_not_writable' } });
  });
});

async function newFolder(name: string): Promise<string> {
  const folder = join(root, name);
  await mkdir(folder);
  return folder;
}
