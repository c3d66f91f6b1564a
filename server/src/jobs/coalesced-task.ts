export interface CoalescedTask {
  /**
   * Runs the work; when it is running already, once more after that, however often this is called meanwhile. Resolves
   * when a run that began after the call is over. Never rejects.
   */
  run(): Promise<void>;
  /** Resolves when nothing runs. */
  idle(): Promise<void>;
}

/** Work that is asked for often and need never run twice at once. */
export function createCoalescedTask(work: () => Promise<void>, onError: (error: unknown) => void): CoalescedTask {
  let current: Promise<void> | null = null;
  let next: Promise<void> | null = null;

  function run(): Promise<void> {
    if (current === null) {
      current = attempt();
      return current;
    }
    next ??= current.then(() => {
      next = null;
      current = attempt();
      return current;
    });
    return next;
  }

  async function attempt(): Promise<void> {
    try {
      await work();
    } catch (error) {
      onError(error);
    } finally {
      if (next === null) current = null;
    }
  }

  async function idle(): Promise<void> {
    while (current !== null) await (next ?? current);
  }

  return { run, idle };
}
