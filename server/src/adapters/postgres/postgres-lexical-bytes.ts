/** Where a word stands in a chunk: positions count words, from 0, in its title and in its body, ascending. */
export interface WordPlaces {
  readonly title: readonly number[];
  readonly body: readonly number[];
}

/** A word in a chunk. */
export interface Posting extends WordPlaces {
  /** Row number of the chunk. */
  readonly chunk: number;
  /** Words of the chunk, its title's among them. */
  readonly length: number;
}

/** What is told of each posting where places do not matter. */
export type VisitPosting = (chunk: number, length: number, hits: WordHits) => void;

/** How often a word stands in a chunk. The object is used again for the next. */
export interface WordHits {
  title: number;
  body: number;
}

/**
 * Postings of one word as bytes: whole numbers of 7 bits a byte. Chunks ascend and are written as differences; a 0 says
 * that the whole number follows, so that encoded lists can be joined end to end. Then the chunk's length, its hits (those of the
 * body doubled; plus one when those of the title follow) and the places of each as differences.
 */
export function encodePostings(postings: readonly Posting[]): Uint8Array {
  const writer = new ByteWriter();
  let last = 0;
  for (const posting of [...postings].sort((one, other) => one.chunk - other.chunk)) {
    if (last === 0) writer.number(0);
    writer.number(posting.chunk - last);
    writer.number(posting.length);
    writePlaces(writer, posting);
    last = posting.chunk;
  }
  return writer.bytes();
}

export function decodePostings(bytes: Uint8Array): Posting[] {
  const reader = new ByteReader(bytes);
  const postings: Posting[] = [];
  let chunk = 0;
  while (!reader.isAtEnd) {
    const step = reader.number();
    chunk = step === 0 ? reader.number() : chunk + step;
    postings.push({ chunk, length: reader.number(), ...readPlaces(reader) });
  }
  return postings;
}

/** The same without the places, which are passed over. */
export function visitPostings(bytes: Uint8Array, visit: VisitPosting): void {
  const reader = new ByteReader(bytes);
  const hits: WordHits = { title: 0, body: 0 };
  let chunk = 0;
  while (!reader.isAtEnd) {
    const step = reader.number();
    chunk = step === 0 ? reader.number() : chunk + step;
    const length = reader.number();
    readHits(reader, hits);
    reader.skip(hits.title + hits.body);
    visit(chunk, length, hits);
  }
}

/** All words of one chunk with their places. */
export function encodeWords(words: ReadonlyMap<string, WordPlaces>): Uint8Array {
  const writer = new ByteWriter();
  for (const [word, places] of words) {
    writer.text(word);
    writePlaces(writer, places);
  }
  return writer.bytes();
}

export function decodeWords(bytes: Uint8Array): Map<string, WordPlaces> {
  const reader = new ByteReader(bytes);
  const words = new Map<string, WordPlaces>();
  while (!reader.isAtEnd) words.set(reader.text(), readPlaces(reader));
  return words;
}

/** Those of the wanted words that are there. */
export function findWords(bytes: Uint8Array, wanted: WantedWords): Map<string, WordPlaces> {
  const reader = new ByteReader(bytes);
  const found = new Map<string, WordPlaces>();
  const hits: WordHits = { title: 0, body: 0 };
  while (!reader.isAtEnd) {
    const word = wanted.at(reader);
    if (word !== null) {
      found.set(word, readPlaces(reader));
    } else {
      readHits(reader, hits);
      reader.skip(hits.title + hits.body);
    }
  }
  return found;
}

/** Words to look for, which are compared as bytes. */
export class WantedWords {
  readonly #byLength = new Map<number, { readonly word: string; readonly bytes: Uint8Array }[]>();

  constructor(words: Iterable<string>) {
    for (const word of words) {
      const bytes = Buffer.from(word);
      const same = this.#byLength.get(bytes.length);
      if (same === undefined) this.#byLength.set(bytes.length, [{ word, bytes }]);
      else same.push({ word, bytes });
    }
  }

  /** Reads a word: which of the wanted it is, or null. */
  at(reader: ByteReader): string | null {
    const length = reader.number();
    const start = reader.skipBytes(length);
    for (const { word, bytes } of this.#byLength.get(length) ?? []) {
      let at = 0;
      while (at < length && bytes[at] === reader.bytes[start + at]) at += 1;
      if (at === length) return word;
    }
    return null;
  }
}

function writePlaces(writer: ByteWriter, { title, body }: WordPlaces): void {
  writer.number(body.length * 2 + (title.length > 0 ? 1 : 0));
  if (title.length > 0) writer.number(title.length);
  for (const places of [title, body]) {
    let last = 0;
    for (const place of places) {
      writer.number(place - last);
      last = place;
    }
  }
}

function readPlaces(reader: ByteReader): WordPlaces {
  const hits = { title: 0, body: 0 };
  readHits(reader, hits);
  return { title: readAscending(reader, hits.title), body: readAscending(reader, hits.body) };
}

function readHits(reader: ByteReader, hits: WordHits): void {
  const both = reader.number();
  hits.title = both % 2 === 1 ? reader.number() : 0;
  hits.body = Math.floor(both / 2);
}

function readAscending(reader: ByteReader, count: number): number[] {
  const places: number[] = [];
  let last = 0;
  for (let each = 0; each < count; each += 1) {
    last += reader.number();
    places.push(last);
  }
  return places;
}

const FIRST_CAPACITY = 256;

class ByteWriter {
  #buffer = Buffer.allocUnsafe(FIRST_CAPACITY);
  #end = 0;

  number(value: number): void {
    let rest = value;
    this.#reserve(8);
    while (rest > 127) {
      this.#buffer[this.#end] = 128 + (rest % 128);
      this.#end += 1;
      rest = Math.floor(rest / 128);
    }
    this.#buffer[this.#end] = rest;
    this.#end += 1;
  }

  text(value: string): void {
    const length = Buffer.byteLength(value);
    this.number(length);
    this.#reserve(length);
    this.#buffer.write(value, this.#end);
    this.#end += length;
  }

  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#end);
  }

  #reserve(more: number): void {
    if (this.#end + more <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#end + more));
    this.#buffer.copy(grown, 0, 0, this.#end);
    this.#buffer = grown;
  }
}

class ByteReader {
  readonly bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.bytes.length;
  }

  number(): number {
    const first = this.bytes[this.#at] ?? 0;
    this.#at += 1;
    if (first < 128) return first;
    let value = first - 128;
    for (let factor = 128; ; factor *= 128) {
      const byte = this.bytes[this.#at] ?? 0;
      this.#at += 1;
      if (byte < 128) return value + byte * factor;
      value += (byte - 128) * factor;
    }
  }

  text(): string {
    const length = this.number();
    const start = this.skipBytes(length);
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + start, length).toString();
  }

  /** Passes over numbers. */
  skip(numbers: number): void {
    for (let left = numbers; left > 0; left -= 1) {
      while ((this.bytes[this.#at] ?? 0) > 127) this.#at += 1;
      this.#at += 1;
    }
  }

  /** Passes over bytes. Gives where they begin. */
  skipBytes(count: number): number {
    const start = this.#at;
    this.#at += count;
    return start;
  }
}
