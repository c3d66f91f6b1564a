import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { strToU8, type Zippable, zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../../kernel/index.ts';
import { createUnpackBudget, UNPACK_LIMITS, type UnpackLimits } from './unpack-budget.ts';
import { openZip, type ZipArchive } from './zip-archive.ts';

const open = (bytes: Uint8Array, limits: Partial<UnpackLimits> = {}): ZipArchive =>
  openZip(bytes, createUnpackBudget('a.zip', { ...UNPACK_LIMITS, ...limits }));
const textOf = async (archive: ZipArchive, name: string): Promise<string> => {
  const entry = archive.find(name);
  return entry === undefined ? 'missing' : Buffer.from(await archive.read(entry)).toString();
};
const readAll = async (archive: ZipArchive): Promise<void> => {
  for (const entry of archive.entries) for await (const piece of archive.stream(entry)) expect(piece).toBeDefined();
};
const codeOf = (code: string) => expect.objectContaining({ code, message: expect.stringContaining('a.zip') });
/** Changes the directory entry of the only file, whose header begins at the returned place. */
const withDirectory = (bytes: Uint8Array, change: (archive: Buffer, header: number) => void): Buffer => {
  const archive = Buffer.from(bytes);
  change(archive, archive.lastIndexOf('PK\x01\x02'));
  return archive;
};

describe('ZIP archive', () => {
  it('lists files without folders and unpacks them, stored or deflated, found whatever their case', async () => {
    const archive = open(
      zipSync({
        'docs/': new Uint8Array(),
        'docs/Größe.txt': strToU8('größer'),
        'b.txt': [strToU8('b'.repeat(999)), { level: 0 }],
      }),
    );
    expect(archive.entries.map(({ name }) => name)).toEqual(['docs/Größe.txt', 'b.txt']);
    expect(await textOf(archive, 'DOCS/größe.txt')).toBe('größer');
    expect(await textOf(archive, 'b.txt')).toBe('b'.repeat(999));
  });

  it('reads what stands behind a program, has a comment, or tells its sizes in 64 bits only', async () => {
    const plain = zipSync({ 'a.txt': strToU8('hello') }, { level: 0 });
    const comment = Buffer.from(plain);
    comment.writeUInt16LE(7, comment.length - 2);
    expect(await textOf(open(Buffer.concat([comment, Buffer.from('comment')])), 'a.txt')).toBe('hello');
    expect(await textOf(open(Buffer.concat([Buffer.from('MZ program'), plain])), 'a.txt')).toBe('hello');
    const extra = Buffer.alloc(20);
    extra.writeUInt16LE(1, 0);
    extra.writeUInt16LE(16, 2);
    extra.writeBigUInt64LE(5n, 4);
    extra.writeBigUInt64LE(5n, 12);
    const header = Buffer.from(plain).lastIndexOf('PK\x01\x02');
    const end = Buffer.from(plain).lastIndexOf('PK\x05\x06');
    const wide = Buffer.concat([plain.subarray(0, end), extra, plain.subarray(end)]);
    wide.writeUInt32LE(0xff_ff_ff_ff, header + 20);
    wide.writeUInt32LE(0xff_ff_ff_ff, header + 24);
    wide.writeUInt16LE(20, header + 30);
    wide.writeUInt32LE(end + 20 - header, end + 20 + 12);
    expect(await textOf(open(wide), 'a.txt')).toBe('hello');
  });

  it('makes names that lead out of the archive harmless', () => {
    const names = ['../../etc/passwd', '/root/a', 'C:\\windows\\b', 'x/\0../y', './c'];
    const archive = open(zipSync(Object.fromEntries(names.map((name) => [name, strToU8('x')]))));
    expect(archive.entries.map(({ name }) => name)).toEqual(['etc/passwd', 'root/a', 'windows/b', 'x/y', 'c']);
  });

  it('asks for files without a password', async () => {
    const archive = open(
      withDirectory(zipSync({ 'a.txt': strToU8('x') }), (bytes, at) => bytes.writeUInt16LE(1, at + 8)),
    );
    await expect(readAll(archive)).rejects.toEqual(codeOf('password_protected'));
  });

  it('refuses what is broken', async () => {
    const whole = zipSync({ 'a.txt': strToU8('hello hello hello') });
    for (const bytes of [new Uint8Array(), strToU8('PK'), whole.subarray(0, -30), strToU8('x'.repeat(200))]) {
      expect(() => open(bytes)).toThrow(codeOf('parse_failed'));
    }
    const flipped = withDirectory(whole, (bytes) => bytes.fill(0xff, 36, 42));
    await expect(readAll(open(flipped))).rejects.toEqual(codeOf('parse_failed'));
    const wrongSum = withDirectory(whole, (bytes, at) => bytes.writeUInt32LE(1, at + 16));
    await expect(readAll(open(wrongSum))).rejects.toEqual(codeOf('parse_failed'));
    const odd = withDirectory(whole, (bytes, at) => bytes.writeUInt16LE(12, at + 10));
    await expect(readAll(open(odd))).rejects.toEqual(codeOf('parse_failed'));
    const lost = withDirectory(whole, (bytes, at) => bytes.writeUInt32LE(5, at + 42));
    expect(() => open(lost)).toThrow(codeOf('parse_failed'));
  });
});

describe('limits of unpacking', () => {
  const zeros = zipSync({ 'zeros.bin': new Uint8Array(4_000_000) });
  const exceeded = codeOf('unpack_limit_exceeded');

  it('stops before unpacking when the directory says enough, and while unpacking when it lies', async () => {
    const strict = { ratioFloorBytes: 1_000_000 };
    await expect(readAll(open(zeros, strict))).rejects.toEqual(exceeded);
    const lying = withDirectory(zeros, (bytes, at) => bytes.writeUInt32LE(100, at + 24));
    let unpacked = 0;
    const archive = open(lying, strict);
    const [entry] = archive.entries;
    const unpack = async (): Promise<void> => {
      if (entry !== undefined) for await (const piece of archive.stream(entry)) unpacked += piece.length;
    };
    await expect(unpack()).rejects.toEqual(exceeded);
    expect(unpacked).toBeLessThan(1_100_000);
    await expect(readAll(open(zeros, { maxEntryBytes: 3_999_999 }))).rejects.toEqual(exceeded);
    await expect(readAll(open(zeros))).resolves.toBeUndefined();
  });

  it('counts the bytes and the entries of all archives of an input together', async () => {
    const budget = createUnpackBudget('a.zip', { ...UNPACK_LIMITS, maxBytes: 6_000_000, maxEntries: 2 });
    const first = openZip(zeros, budget);
    await readAll(first);
    await expect(readAll(openZip(zeros, budget))).rejects.toEqual(exceeded);
    expect(() => openZip(zeros, budget)).toThrow(exceeded);
  });

  it('refuses entries that share their bytes', () => {
    const packed = deflateRawSync(Buffer.alloc(100_000));
    const archive = Buffer.from(zipSync({ 'a.txt': new Uint8Array(100_000), 'b.txt': strToU8('b') }));
    const second = archive.lastIndexOf('PK\x01\x02');
    archive.writeUInt32LE(0, second + 42);
    archive.writeUInt32LE(packed.length, second + 20);
    expect(() => open(archive)).toThrow(exceeded);
  });
});

describe('property: any bytes', () => {
  const files: Zippable = {
    'a.txt': strToU8('some text '.repeat(50)),
    'folder/b.bin': [Uint8Array.from({ length: 300 }, (_, n) => (n * 97) & 255), { level: 0 }],
  };
  const sound = zipSync(files, { comment: 'c' });
  const change = fc.record({ at: fc.nat(sound.length - 1), to: fc.nat(255) });

  it('end in what was packed or in an AppError, within the limits', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 8 }), fc.nat(sound.length), async (changes, cut) => {
        const bytes = Uint8Array.from(sound);
        for (const { at, to } of changes) bytes[at] = to;
        for (const archive of [bytes, bytes.subarray(cut), bytes.subarray(0, cut)]) {
          await expectSound(archive);
        }
      }),
      { numRuns: 400 },
    );
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), expectSound), { numRuns: 200 });
  });

  async function expectSound(bytes: Uint8Array): Promise<void> {
    try {
      await readAll(open(bytes, { maxBytes: 10_000 }));
    } catch (error) {
      expect(error).toBeInstanceOf(AppError);
    }
  }
});
