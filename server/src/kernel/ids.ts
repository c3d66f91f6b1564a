import { randomBytes } from 'node:crypto';

/** The prefix of each kind of id; the prefix alone tells what an id names. */
export type IdPrefix =
  | 'tnt'
  | 'bot'
  | 'src'
  | 'doc'
  | 'chk'
  | 'job'
  | 'conv'
  | 'msg'
  | 'key'
  | 'gen'
  | 'gold'
  | 'prm'
  | 'usr'
  | 'req'
  | 'syn';

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

const RANDOM_CHARACTERS = 16;
const IDS_A_POOL = 256;

/** Makes a new id. Ids of one kind sort by the time they were made (48-bit milliseconds, then 80 random bits, base32). */
export type IdMaker = (prefix: IdPrefix) => string;

/** An id maker over the given time source (milliseconds since 1970). */
export function createIdMaker(now: () => number): IdMaker {
  // Asked for in bulk: one request to the system for random bytes costs more than an id.
  let pool = Buffer.alloc(0);
  let used = 0;
  const encodeRandom = (): string => {
    if (used === pool.length) {
      pool = randomBytes(RANDOM_CHARACTERS * IDS_A_POOL);
      used = 0;
    }
    let text = '';
    for (const end = used + RANDOM_CHARACTERS; used < end; used += 1) text += ALPHABET.charAt((pool[used] ?? 0) % 32);
    return text;
  };
  return (prefix) => `${prefix}_${encodeTime(now())}${encodeRandom()}`;
}

function encodeTime(milliseconds: number): string {
  let rest = milliseconds;
  let text = '';
  for (let position = 0; position < 10; position += 1) {
    text = ALPHABET.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}
