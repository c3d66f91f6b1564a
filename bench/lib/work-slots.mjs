// What may be true of each key. Its `possible` holds every state that it may be in: one once the server has acknowledged
// it, more while a request was cut off.

/** The state of a key that has no source. */
export const ABSENT = null;

/** A key without a source; `old` will hold the words of versions that are gone. */
export function createSlot(key) {
  return { key, possible: [ABSENT], id: null, jobId: null, isCancelled: false, old: [] };
}

/** Whether exactly one version is there. */
export function isPresent({ possible }) {
  return possible.length === 1 && possible[0] !== ABSENT;
}

/** The server has acknowledged this state. */
export function settle(slot, state) {
  for (const version of slot.possible) if (version !== state && version !== ABSENT) slot.old.push(...version.markers);
  slot.possible = [state];
}

/**
 * Makes the state possible while the request runs, and the only one when it is acknowledged. What the server has refused
 * has not happened; what was cut off may have.
 */
export async function changing(slot, state, request) {
  const before = [...slot.possible];
  slot.possible = [...new Set([...before, state])];
  try {
    const answer = await request();
    settle(slot, state);
    return answer;
  } catch (error) {
    if (error.status >= 400 && error.status < 500) slot.possible = before;
    throw error;
  }
}
