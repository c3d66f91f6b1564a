import { parentPort, workerData } from 'node:worker_threads';
import { createInt8Kernel } from './int8-kernel.ts';
import { createResidentNamespaces } from './resident-namespaces.ts';
import type { ScanCall, ScanMessage } from './scan-protocol.ts';

/** The thread that holds and scans the vectors. Calls may be in flight by the hundred; each carries its id. */
const port = parentPort;
if (port === null) throw new Error('The scan worker must run in a worker thread.');
const { memoryCapBytes } = workerData as { readonly memoryCapBytes: number };
const say = (message: ScanMessage): void => port.postMessage(message);
const namespaces = createResidentNamespaces({
  memoryCapBytes,
  kernel: createInt8Kernel(),
  onEvicted: (key, bytes) => say({ type: 'evicted', key, bytes }),
});
port.on('message', ({ id, request }: ScanCall) => {
  namespaces.handle(request, (outcome) => say({ type: 'outcome', id, outcome }));
});
