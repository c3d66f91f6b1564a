import { parentPort, workerData } from 'node:worker_threads';
import { type Connection, type ConnectionOptions, openConnection } from './connection.ts';
import type { ThreadReply, ThreadRequest } from './database-thread.ts';
import type { StatementFailure, StatementResult } from './statement.ts';

/** Below this size copying a blob between threads is cheaper than moving it. */
const MOVE_FROM_BYTES = 16 * 1024;

const port = parentPort;
if (port === null) throw new Error('database-worker must run in a worker thread');

let connection: Connection | null = null;

port.on('message', (request: ThreadRequest) => {
  if (request.type === 'close') {
    connection?.close();
    port.close();
    return;
  }
  try {
    // Opened by the first statement, so that a failure to open is that statement's answer and the next one tries again.
    connection ??= openConnection(workerData as ConnectionOptions);
    const result = connection.execute(request.statement);
    port.postMessage({ id: request.id, result } satisfies ThreadReply, buffersToMove(result));
  } catch (failure) {
    port.postMessage({ id: request.id, failure: failure as StatementFailure } satisfies ThreadReply);
  }
});

function buffersToMove({ rows }: StatementResult): ArrayBuffer[] {
  const buffers: ArrayBuffer[] = [];
  for (const row of rows) {
    for (const value of row) {
      if (!(value instanceof Uint8Array) || value.byteLength < MOVE_FROM_BYTES) continue;
      if (value.buffer instanceof ArrayBuffer) buffers.push(value.buffer);
    }
  }
  return buffers;
}
