import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { strToU8, zipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AppError } from '../../kernel/index.ts';
import { createDocumentParser } from '../loaders/document-parser.ts';
import type { DocumentParser, ParsedPart } from '../ports.ts';
import { createPartReader } from './part-reader.ts';

/** More than the parser of these tests has memory for. */
const DEADLY = strToU8(`<html>${'<li>a b</li>'.repeat(500_000)}</html>`);

describe('part reader', () => {
  let folder: string;
  let parser: DocumentParser;
  const roomy = createDocumentParser();
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'parts-'));
    parser = createDocumentParser({ heapMb: 80 });
  });
  afterAll(async () => {
    await Promise.all([parser.stop(), roomy.stop()]);
    await rm(folder, { recursive: true });
  });

  const readerOf = (path: string, name: string, of: Pick<DocumentParser, 'parse'> = parser) => {
    const unusable: string[] = [];
    const read = createPartReader(
      { path, name, mediaType: '', fallbackTitle: 'Untitled' },
      { parser: of, signal: new AbortController().signal, onUnusable: (code) => void unusable.push(code) },
    );
    return { read, unusable };
  };
  const readAll = async (read: (from: string | null) => Promise<ParsedPart>) => {
    const found: string[] = [];
    for (let from: string | null = null; ; ) {
      const { documents, refusals, next } = await read(from);
      found.push(...documents.map(({ name }) => name));
      found.push(...refusals.map(({ name, code, message }) => `${name}: ${code} ${message.includes(name)}`));
      if (next === null) return found;
      from = next;
    }
  };
  const store = async (name: string, bytes: Uint8Array): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, bytes);
    return path;
  };

  it('passes over the file of an archive that ends the thread, also within archives within, and reads the others', async () => {
    const text = (word: string): Uint8Array => strToU8(`This file is about ${word}.`);
    const inner = zipSync({ 'b.txt': text('b'), 'lines.html': DEADLY, 'c.txt': text('c') });
    const path = await store('all.zip', zipSync({ 'a.txt': text('a'), 'inner.zip': inner, 'd.txt': text('d') }));
    const { read, unusable } = readerOf(path, 'all.zip');
    expect(await readAll(read)).toEqual([
      'all.zip/a.txt',
      'all.zip/inner.zip/b.txt',
      'all.zip/inner.zip/lines.html: parse_out_of_memory true',
      'all.zip/inner.zip/c.txt',
      'all.zip/d.txt',
    ]);
    expect(unusable).toEqual([]);
  }, 120_000);

  it('ends an archive in which too many files end the thread', async () => {
    const files = Array.from({ length: 9 }, (_, number) => [`${number}.txt`, strToU8(`Text ${number}.`)]);
    const path = await store('bad.zip', zipSync(Object.fromEntries(files)));
    const deadly: Pick<DocumentParser, 'parse'> = {
      parse: async (input, signal) => {
        if (input.caution?.type !== 'pass-over') throw new AppError('parse_timeout', '"bad.zip" takes too long.');
        return roomy.parse(input, signal);
      },
    };
    const found = await readAll(readerOf(path, 'bad.zip', deadly).read);
    expect(found).toEqual([
      ...[0, 1, 2, 3, 4].map((number) => `bad.zip/${number}.txt: parse_timeout true`),
      'bad.zip: parse_timeout true',
    ]);
  }, 60_000);

  it('ends an input that is one file with the fault, after one try', async () => {
    const path = await store('lines.html', DEADLY);
    let deaths = 0;
    const counted: Pick<DocumentParser, 'parse'> = {
      parse: async (input, signal) => {
        if (input.caution === undefined) deaths += 1;
        return parser.parse(input, signal);
      },
    };
    const { read, unusable } = readerOf(path, 'lines.html', counted);
    expect(await readAll(read)).toEqual(['lines.html: parse_out_of_memory true']);
    expect(unusable).toEqual(['parse_out_of_memory']);
    expect(deaths).toBe(1);
  }, 120_000);

  it('passes over a stretch of a large text', async () => {
    const path = await store('large.txt', strToU8('A line of this text, which is long.\n'.repeat(100_000)));
    let calls = 0;
    const failing: Pick<DocumentParser, 'parse'> = {
      parse: async (input, signal) => {
        calls += 1;
        if (calls === 2) throw new AppError('parse_timeout', 'Too long.');
        return roomy.parse(input, signal);
      },
    };
    const found = await readAll(readerOf(path, 'large.txt', failing).read);
    expect(found.slice(0, 2)).toEqual(['large.txt (part 1)', 'large.txt (part 2): parse_timeout false']);
    expect(found.length).toBeGreaterThan(2);
    expect(found.slice(2).filter((name) => !/^large\.txt \(part \d\)$/.test(name))).toEqual([]);
  }, 60_000);

  it('rejects with what is no fault of the input', async () => {
    const broken: Pick<DocumentParser, 'parse'> = {
      parse: () => Promise.reject(new AppError('database_unavailable', 'Away.')),
    };
    await expect(readerOf('x', 'x.txt', broken).read(null)).rejects.toMatchObject({ code: 'database_unavailable' });
  });
});
