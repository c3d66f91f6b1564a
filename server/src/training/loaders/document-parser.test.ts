import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DocumentParser } from '../ports.ts';
import { createDocumentParser } from './document-parser.ts';

describe('document parser', () => {
  let folder: string;
  const parsers: DocumentParser[] = [];
  const parserOf = (options: Parameters<typeof createDocumentParser>[0]): DocumentParser => {
    const parser = createDocumentParser(options);
    parsers.push(parser);
    return parser;
  };
  const inputOf = async (name: string, content: string) => {
    const path = join(folder, name);
    await writeFile(path, content);
    return { path, name, mediaType: '', fallbackTitle: 'Fallback', from: null };
  };
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'parser-'));
  });
  afterAll(async () => {
    await Promise.all(parsers.map((parser) => parser.stop()));
    await rm(folder, { recursive: true });
  });

  it('makes documents in a thread, and passes refusals on with their codes', async () => {
    const parser = parserOf({});
    const part = await parser.parse(await inputOf('a.md', '## One\n\nHello there, world.'));
    const [document] = part.documents;
    expect(part).toMatchObject({ refusals: [], next: null, share: 1 });
    expect(document).toMatchObject({ title: 'Fallback', text: '## One\n\nHello there, world.' });
    expect(document?.chunks).toHaveLength(1);
    expect(document?.tokens).toBe(document?.chunks[0]?.tokens);
    await expect(parser.parse(await inputOf('empty.md', '---\na: b\n---\n'))).rejects.toMatchObject({
      code: 'empty_content',
    });
    await expect(parser.parse(await inputOf('a.txt', 'text'))).resolves.toMatchObject({
      documents: [{ name: 'a.txt' }],
    });
  }, 30_000);

  it('gives up on a document that takes too long or too much memory, and goes on', async () => {
    const hungry = parserOf({ heapMb: 24 });
    await expect(
      hungry.parse(await inputOf('lines.html', `<html>${'<li>a b</li>'.repeat(500_000)}</html>`)),
    ).rejects.toMatchObject({
      code: 'parse_out_of_memory',
      message: expect.stringContaining('lines.html'),
    });
    const hasty = parserOf({ timeoutMs: 1 });
    await expect(hasty.parse(await inputOf('b.md', 'text'))).rejects.toMatchObject({ code: 'parse_timeout' });
  }, 60_000);
});
