/**
 * Knows when rows that are seldom written may have changed, so that they can be kept in memory between. What was read
 * holds as long as `version` says the same before and after the reading and whenever it is used.
 */
export interface WriteWatch {
  /** Another number after each write; null while one is under way: then nothing may be believed or kept. */
  version(): number | null;
}

/** Tables whose rows are kept in memory. */
const WATCHED = ['bots', 'tenants'];

const TOUCHES_WATCHED = new RegExp(
  `^\\s*(?:insert\\s+(?:or\\s+\\w+\\s+)?into|replace\\s+into|update|delete\\s+from)\\s+["\`]?(?:${WATCHED.join('|')})\\b`,
  'i',
);
const MOST_TEXTS = 2_000;

/** A watch that is told of every write by the one place that all writes of this process pass. */
export interface WriteRecorder extends WriteWatch {
  /** Whether a statement writes rows that are kept in memory. */
  concerns(sql: string): boolean;
  /** A write has begun; call what it returns once it is committed, rolled back or lost. */
  begin(): () => void;
}

export function createWriteRecorder(): WriteRecorder {
  const known = new Map<string, boolean>();
  let underWay = 0;
  let version = 0;
  return {
    version: () => (underWay === 0 ? version : null),
    concerns(sql) {
      const verdict = known.get(sql);
      if (verdict !== undefined) return verdict;
      const made = TOUCHES_WATCHED.test(sql);
      if (known.size < MOST_TEXTS) known.set(sql, made);
      return made;
    },
    begin() {
      underWay += 1;
      let ended = false;
      return () => {
        if (ended) return;
        ended = true;
        underWay -= 1;
        version += 1;
      };
    },
  };
}
