/** A command that was not answered in time. It may be carried out all the same. */
export class RedisTimeout extends Error {
  override readonly name = 'RedisTimeout';
}

/** Timers are later than they should be by this much without anything being amiss. */
const USUAL_MS = 5;

/**
 * The promise's outcome, or a `RedisTimeout`. Answers that have come in but were not read yet, because this process was
 * busy, are in time; and the time by which this process was late itself, as its timer tells, is not counted.
 */
export function withinTime<Value>(promise: Promise<Value>, milliseconds: number): Promise<Value> {
  return new Promise((resolve, reject) => {
    let dueAt = performance.now() + milliseconds;
    let timer = setTimeout(expire, milliseconds);
    function expire(): void {
      const lateMs = performance.now() - dueAt;
      if (lateMs > USUAL_MS) {
        const moreMs = Math.min(lateMs, milliseconds);
        dueAt = performance.now() + moreMs;
        timer = setTimeout(expire, moreMs);
        return;
      }
      // An immediate runs after the sockets were read.
      setImmediate(() => reject(new RedisTimeout(`Redis did not answer within ${milliseconds} ms.`)));
    }
    promise.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
