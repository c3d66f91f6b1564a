/**
 * Reads OLE compound files, version 3 and 4 (Microsoft's [MS-CFB]): a file system in a file. Every chain of sectors is
 * followed no further than the file is long, so that broken files end and need no more memory than their size.
 */
export interface CompoundFile {
  readonly root: CompoundStorage;
}

export interface CompoundStorage {
  readonly name: string;
  readonly storages: readonly CompoundStorage[];
  /** Streams by name. */
  readonly streams: ReadonlyMap<string, CompoundStream>;
}

export interface CompoundStream {
  read(): Buffer;
}

const HEADER_BYTES = 512;
const ENTRY_BYTES = 128;
const FREE = 0xffffffff;
const LARGEST_SECTOR_NUMBER = 0xfffffffa;
const MOST_ENTRIES = 100_000;
const DEEPEST = 8;

interface Entry {
  readonly name: string;
  readonly type: number;
  readonly left: number;
  readonly right: number;
  readonly child: number;
  readonly start: number;
  readonly size: number;
}

/** The file's tree, or null when it is no compound file or one that is broken at its root. */
export function openCompoundFile(bytes: Uint8Array): CompoundFile | null {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (file.length < HEADER_BYTES) return null;
  const sectorBytes = 2 ** Math.min(16, Math.max(7, file.readUInt16LE(30)));
  const miniBytes = 2 ** Math.min(10, Math.max(4, file.readUInt16LE(32)));
  const table = readTable(file, sectorBytes);
  const sector = (number: number): Buffer => file.subarray((number + 1) * sectorBytes, (number + 2) * sectorBytes);
  const chainFrom = (start: number): Buffer => Buffer.concat(chainOf(start, table).map(sector));
  const entries = readEntries(chainFrom(file.readUInt32LE(48)));
  const root = entries[0];
  if (root === undefined || root.type !== 5) return null;
  const mini = { bytes: chainFrom(root.start), table: numbersOf(chainFrom(file.readUInt32LE(60))) };
  const cutoff = file.readUInt32LE(56);

  function read({ start, size }: Entry): Buffer {
    if (size > file.length) return Buffer.alloc(0);
    if (size >= cutoff) return chainFrom(start).subarray(0, size);
    const parts = chainOf(start, mini.table).map((number) =>
      mini.bytes.subarray(number * miniBytes, (number + 1) * miniBytes),
    );
    return Buffer.concat(parts).subarray(0, size);
  }

  function storageOf(entry: Entry, depth: number): CompoundStorage {
    const children = depth < DEEPEST ? siblingsOf(entry.child, entries) : [];
    return {
      name: entry.name,
      storages: children.filter(({ type }) => type === 1).map((child) => storageOf(child, depth + 1)),
      streams: new Map(
        children.filter(({ type }) => type === 2).map((child) => [child.name, { read: () => read(child) }]),
      ),
    };
  }
  return { root: storageOf(root, 0) };
}

/** The allocation table: which sector follows which. Its own sectors are listed in the header and in a chain behind it. */
function readTable(file: Buffer, sectorBytes: number): readonly number[] {
  const sectors: number[] = [];
  for (let offset = 76; offset < HEADER_BYTES; offset += 4) sectors.push(file.readUInt32LE(offset));
  const most = Math.ceil(file.length / sectorBytes);
  let next = file.readUInt32LE(68);
  for (let count = 0; next < LARGEST_SECTOR_NUMBER && count < most; count += 1) {
    const list = numbersOf(file.subarray((next + 1) * sectorBytes, (next + 2) * sectorBytes));
    sectors.push(...list.slice(0, -1));
    next = list.at(-1) ?? FREE;
  }
  const used = sectors.filter((number) => number < most).slice(0, most);
  return used.flatMap((number) => numbersOf(file.subarray((number + 1) * sectorBytes, (number + 2) * sectorBytes)));
}

function numbersOf(bytes: Buffer): number[] {
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, position) => bytes.readUInt32LE(position * 4));
}

/** Sector numbers from `start` on; ends where the chain does, leaves the table, or comes back to where it was. */
function chainOf(start: number, table: readonly number[]): readonly number[] {
  const chain: number[] = [];
  const seen = new Set<number>();
  for (let next = start; next < table.length && !seen.has(next); next = table[next] ?? FREE) {
    seen.add(next);
    chain.push(next);
  }
  return chain;
}

function readEntries(directory: Buffer): readonly Entry[] {
  const count = Math.min(MOST_ENTRIES, Math.floor(directory.length / ENTRY_BYTES));
  return Array.from({ length: count }, (_, position) => {
    const entry = directory.subarray(position * ENTRY_BYTES, (position + 1) * ENTRY_BYTES);
    const nameBytes = Math.min(64, Math.max(2, entry.readUInt16LE(64)));
    return {
      name: entry.toString('utf16le', 0, nameBytes - 2),
      type: entry.readUInt8(66),
      left: entry.readUInt32LE(68),
      right: entry.readUInt32LE(72),
      child: entry.readUInt32LE(76),
      start: entry.readUInt32LE(116),
      size: entry.readUInt32LE(120),
    };
  });
}

/** All entries of one storage, which hang together as a tree. */
function siblingsOf(first: number, entries: readonly Entry[]): readonly Entry[] {
  const found: Entry[] = [];
  const seen = new Set<number>();
  const open = [first];
  for (let number = open.pop(); number !== undefined; number = open.pop()) {
    const entry = entries[number];
    if (entry === undefined || seen.has(number)) continue;
    seen.add(number);
    found.push(entry);
    open.push(entry.left, entry.right);
  }
  return found;
}
