/** A command that was not answered in time. It may be carried out all the same. */
export class RedisTimeout extends Error {
  override readonly name = 'RedisTimeout';
}

/**
 * The promise's outcome, or a `RedisTimeout`. Answers that have come in but were not read yet, because this process was
 * busy, are in time.
 */
export function withinTime<Value>(promise: Promise<Value>, milliseconds: number): Promise<Value> {
  return new Promise((resolve, reject) => {
    const expire = (): void => reject(new RedisTimeout(`Redis did not answer within ${milliseconds} ms.`));
    // An immediate runs after the sockets were read.
    const timer = setTimeout(() => setImmediate(expire), milliseconds);
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
