/** Lets the holders of one key go one after the other, in the order in which they asked. */
export interface Turns {
  /** Resolves when it is the caller's turn; ends with a call of what it gives. */
  take(key: string): Promise<() => void>;
}

export function createTurns(): Turns {
  const last = new Map<string, Promise<void>>();
  return {
    async take(key) {
      const before = last.get(key);
      let end: () => void = () => {};
      const turn = new Promise<void>((resolve) => {
        end = resolve;
      });
      last.set(key, turn);
      await before;
      return () => {
        if (last.get(key) === turn) last.delete(key);
        end();
      };
    },
  };
}
