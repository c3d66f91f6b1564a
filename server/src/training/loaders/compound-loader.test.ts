import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../kernel/index.ts';
import { loadCompound } from './compound-loader.ts';
import { unpackRichText } from './compressed-rich-text.ts';

const SECTOR = 512;
const END = 0xfffffffe;

interface Storage {
  readonly [name: string]: Buffer | string | Storage;
}

/** A compound file of 512-byte sectors without small sectors. */
function compoundFile(root: Storage): Buffer {
  const entries: Buffer[] = [];
  const sectors: Buffer[] = [];
  const table: number[] = [];

  function place(content: Buffer): number {
    const first = sectors.length;
    const count = Math.max(1, Math.ceil(content.length / SECTOR));
    for (let n = 0; n < count; n += 1) {
      const sector = Buffer.alloc(SECTOR);
      content.copy(sector, 0, n * SECTOR, (n + 1) * SECTOR);
      sectors.push(sector);
      table.push(n === count - 1 ? END : first + n + 1);
    }
    return first;
  }
  function entry(name: string, type: number, content: Buffer | null): Buffer {
    const made = Buffer.alloc(128);
    made.write(name, 'utf16le');
    made.writeUInt16LE((name.length + 1) * 2, 64);
    made.writeUInt8(type, 66);
    for (const offset of [68, 72, 76]) made.writeUInt32LE(0xffffffff, offset);
    made.writeUInt32LE(content === null ? END : place(content), 116);
    made.writeUInt32LE(content?.length ?? 0, 120);
    entries.push(made);
    return made;
  }
  function fill(owner: Buffer, storage: Storage): void {
    let before: Buffer | null = null;
    for (const [name, value] of Object.entries(storage)) {
      const number = entries.length;
      const isStorage = typeof value === 'object' && !Buffer.isBuffer(value);
      const content = isStorage ? null : Buffer.isBuffer(value) ? value : Buffer.from(value, 'utf16le');
      const made = entry(name, isStorage ? 1 : 2, content);
      if (before === null) owner.writeUInt32LE(number, 76);
      else before.writeUInt32LE(number, 72);
      before = made;
      if (isStorage) fill(made, value);
    }
  }
  fill(entry('Root Entry', 5, null), root);
  const directory = place(Buffer.concat(entries));
  const header = Buffer.alloc(SECTOR, 0xff);
  header.fill(0, 0, 76);
  Buffer.from('d0cf11e0a1b11ae1', 'hex').copy(header);
  header.writeUInt16LE(9, 30);
  header.writeUInt16LE(6, 32);
  header.writeUInt32LE(directory, 48);
  header.writeUInt32LE(0, 56);
  header.writeUInt32LE(END, 60);
  header.writeUInt32LE(END, 68);
  header.writeUInt32LE(sectors.length, 76);
  const numbers = Buffer.alloc(SECTOR, 0xff);
  for (const [number, next] of [...table, 0xfffffffd].entries()) numbers.writeUInt32LE(next, number * 4);
  return Buffer.concat([header, ...sectors, numbers]);
}

/** One property of fixed length, behind a header. */
function properties(header: number, ...values: readonly (readonly [number, bigint])[]): Buffer {
  const table = Buffer.alloc(header + values.length * 16);
  for (const [position, [property, value]] of values.entries()) {
    table.writeUInt16LE(property, header + position * 16 + 2);
    table.writeBigUInt64LE(value, header + position * 16 + 8);
  }
  return table;
}

const MESSAGE: Storage = {
  '__properties_version1.0': properties(32, [0x0039, 133_793_294_580_000_000n]),
  '__substg1.0_0037001F': 'Refunds ☂',
  '__substg1.0_0C1A001F': 'Ann',
  '__substg1.0_5D01001F': 'ann@a.example',
  '__substg1.0_1000001E': Buffer.from('Caf\xe9 vouchers are refunded.\0', 'latin1'),
  '__recip_version1.0_#00000000': {
    '__properties_version1.0': properties(8, [0x0c15, 1n]),
    '__substg1.0_3001001F': 'Bob',
    '__substg1.0_39FE001F': 'bob@b.example',
  },
  '__recip_version1.0_#00000001': {
    '__properties_version1.0': properties(8, [0x0c15, 2n]),
    '__substg1.0_3003001F': '/O=EXCHANGE/CN=CY',
    '__substg1.0_3001001F': 'Cy',
  },
  '__attach_version1.0_#00000000': { '__substg1.0_3707001F': 'terms.pdf' },
};

describe('compound files', () => {
  it('reads a message with its correspondents, date, text and attachments', () => {
    expect(loadCompound(compoundFile(MESSAGE), 'x.msg')).toEqual({
      title: 'Refunds ☂',
      text: '# Refunds ☂\n\n**From:** Ann (ann@a.example)\n**To:** Bob (bob@b.example)\n**Cc:** Cy\n**Date:** 2024-12-22 08:24 UTC\n**Attachments:** terms.pdf\n\nCafé vouchers are refunded.',
      layout: 'markdown',
    });
  });

  it('takes the text from HTML or compressed Rich Text when there is no other', () => {
    const { '__substg1.0_1000001E': _, ...without } = MESSAGE;
    const html = { ...without, '__substg1.0_10130102': Buffer.from('<p>From <b>HTML</b></p>') };
    expect(loadCompound(compoundFile(html), 'x.msg').text).toContain('\n\nFrom **HTML**');
    const rich = { ...without, '__substg1.0_10090102': HELLO };
    expect(loadCompound(compoundFile(rich), 'x.msg').text).toContain('\n\nhello world');
  });

  it('tells what is wrong with those that cannot be read', () => {
    const refusal = (root: Storage, code: string) =>
      expect(() => loadCompound(compoundFile(root), 'x')).toThrow(expect.objectContaining({ code }));
    refusal({ EncryptedPackage: 'secret' }, 'password_protected');
    refusal({ WordDocument: 'old' }, 'unsupported_file_type');
    refusal({ other: 'x' }, 'unsupported_file_type');
    expect(() => loadCompound(Buffer.alloc(600), 'x')).toThrow(expect.objectContaining({ code: 'parse_failed' }));
  });

  it('ends on damaged files', () => {
    const whole = compoundFile(MESSAGE);
    const damage = fc.record({ at: fc.nat(whole.length - 4), value: fc.integer({ min: 0, max: 0xffffffff }) });
    fc.assert(
      fc.property(fc.array(damage, { minLength: 1, maxLength: 12 }), fc.nat(whole.length), (changes, cut) => {
        const bytes = Buffer.from(whole);
        for (const { at, value } of changes) bytes.writeUInt32LE(value, at);
        try {
          loadCompound(cut % 3 === 0 ? bytes.subarray(0, cut) : bytes, 'x.msg');
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

/** The example of [MS-OXRTFCP] 3.1.1. */
const HELLO = Buffer.from(
  '2d0000002b0000004c5a4675f1c5c7a703000a0072637067313235423 20af32068656c090020627705b06c647d0a800fa0'.replace(
    ' ',
    '',
  ),
  'hex',
);

describe('compressed Rich Text', () => {
  it('unpacks the example of its specification', () => {
    expect(unpackRichText(HELLO, 1_000).toString('latin1')).toBe('{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n');
  });

  it('never gives much more than it may', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (tail) => {
        const bytes = Buffer.concat([HELLO.subarray(0, 16), Buffer.from(tail)]);
        expect(unpackRichText(bytes, 500).length).toBeLessThan(700);
      }),
    );
  });
});
