import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ApiClient } from './api-client.ts';
import { exportCommand } from './bundle-commands.ts';
import { EXIT } from './cli-error.ts';

describe('export', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chatsphere-export-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const never = () => {
    throw new Error('not asked for');
  };
  async function run(output: string, content: () => AsyncIterable<Uint8Array>) {
    const client: ApiClient = { url: '', request: never, stream: never, download: async () => content() };
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const exitCode = await exportCommand.run({
      terminal: { stdin: new PassThrough(), stdout, stderr, color: false },
      positionals: [],
      values: { bot: 'b', output },
      json: false,
      signal: new AbortController().signal,
      connect: async () => client,
    });
    return { exitCode, stdout: String(stdout.read() ?? '') };
  }
  async function* bytes() {
    yield Buffer.from('bun');
    yield Buffer.from('dle');
  }

  it('writes the file, or to stdout', async () => {
    const file = join(folder, 'b.gz');
    expect(await run(file, bytes)).toEqual({ exitCode: EXIT.ok, stdout: `${file}\n` });
    expect(await readFile(file, 'utf8')).toBe('bundle');
    expect(await run('-', bytes)).toEqual({ exitCode: EXIT.ok, stdout: 'bundle' });
  });

  it('says why a file cannot be written', async () => {
    const failing = run(join(folder, 'none', 'b.gz'), bytes);
    await expect(failing).rejects.toMatchObject({ exitCode: EXIT.failure, message: expect.stringContaining('ENOENT') });
  });

  it('leaves nothing of an export that broke off', async () => {
    async function* broken() {
      yield* bytes();
      throw new Error('gone');
    }
    await expect(run(join(folder, 'b.gz'), broken)).rejects.toMatchObject({ code: 'export_failed' });
    expect(await readdir(folder)).toEqual([]);
  });
});
