import { parentPort, workerData } from 'node:worker_threads';
import { type Connection, type ConnectionOptions, openConnection } from './connection.ts';
import type { ThreadReply, ThreadRequest } from './database-thread.ts';
import type { Statement, StatementFailure } from './statement.ts';

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
  const replies = request.statements.map(({ id, statement }) => execute(id, statement));
  port.postMessage(replies, replies.flatMap(buffersToMove));
});

function execute(id: number, statement: Statement): ThreadReply {
  try {
    // Opened by the first statement, so that a failure to open is that statement's answer and the next one tries again.
    connection ??= openConnection(workerData as ConnectionOptions);
    return { id, result: connection.execute(statement) };
  } catch (failure) {
    return { id, failure: failure as StatementFailure };
  }
}

function buffersToMove(reply: ThreadReply): ArrayBuffer[] {
  const buffers: ArrayBuffer[] = [];
  if ('failure' in reply) return buffers;
  for (const row of reply.result.rows) {
    for (const value of row) {
      if (!(value instanceof Uint8Array) || value.byteLength < MOVE_FROM_BYTES) continue;
      if (value.buffer instanceof ArrayBuffer) buffers.push(value.buffer);
    }
  }
  return buffers;
}
