import { createHash } from 'node:crypto';
import type { JsonValue } from '../../kernel/index.ts';
import { writeTask } from './message.ts';
import type { CeleryBroker, CelerySignature, CeleryTask } from './ports.ts';

/** Where tasks go whose signature names no queue: Celery's own default. */
const DEFAULT_QUEUE = 'celery';

export type Ended = { readonly value: JsonValue } | { readonly failed: true };

/**
 * Calls what was linked to a task: with its value what is linked and what comes next in its chain, or with its id what is linked
 * for failures. Rejects when the broker does not take it.
 */
export async function callNext(broker: CeleryBroker, task: CeleryTask, ended: Ended): Promise<void> {
  if ('failed' in ended) {
    for (const [index, errback] of task.errbacks.entries()) {
      await call(broker, task, { signature: errback, given: task.id, chain: [], place: `failed ${index}` });
    }
    return;
  }
  const { value } = ended;
  for (const [index, callback] of task.callbacks.entries()) {
    await call(broker, task, { signature: callback, given: value, chain: [], place: `linked ${index}` });
  }
  const next = task.chain.at(-1);
  if (next === undefined) return;
  await call(broker, task, { signature: next, given: value, chain: task.chain.slice(0, -1), place: 'next' });
}

/** Whether anything is to be called after one of its ends. */
export function hasNext({ callbacks, chain, errbacks }: CeleryTask): boolean {
  return callbacks.length + chain.length + errbacks.length > 0;
}

interface Call {
  readonly signature: CelerySignature;
  readonly given: JsonValue;
  readonly chain: readonly CelerySignature[];
  /** Which of its parent's it is. */
  readonly place: string;
}

async function call(broker: CeleryBroker, parent: CeleryTask, { signature, given, chain, place }: Call): Promise<void> {
  const { options, immutable } = signature;
  const text = (name: string): string | null => {
    const value = options[name];
    return typeof value === 'string' && value !== '' ? value : null;
  };
  const links = (name: string): readonly JsonValue[] | undefined => {
    const value = options[name];
    return Array.isArray(value) && value.length > 0 ? value : undefined;
  };
  const [callbacks, errbacks] = [links('link'), links('link_error')];
  const { priority, headers } = options;
  const envelope = writeTask({
    id: text('task_id') ?? idAt(parent, place),
    name: signature.task,
    args: immutable ? signature.args : [given, ...signature.args],
    kwargs: signature.kwargs,
    priority: typeof priority === 'number' ? priority : parent.envelope.priority,
    replyTo: text('reply_to') ?? parent.envelope.replyTo,
    rootId: parent.rootId,
    parentId: parent.id,
    ...(isObject(headers) ? { headers } : {}),
    chain: chain.map(toWire),
    ...(callbacks === undefined ? {} : { callbacks }),
    ...(errbacks === undefined ? {} : { errbacks }),
  });
  await broker.publish(text('queue') ?? text('routing_key') ?? DEFAULT_QUEUE, envelope);
}

/** The same each time: a call that comes again, after a crash say, can be known. */
function idAt(parent: CeleryTask, place: string): string {
  const hash = createHash('sha256').update(`${parent.id}\0${place}`).digest('hex');
  return [hash.slice(0, 8), hash.slice(8, 12), hash.slice(12, 16), hash.slice(16, 20), hash.slice(20, 32)].join('-');
}

function toWire({ task, args, kwargs, options, immutable }: CelerySignature): JsonValue {
  return { task, args, kwargs, options, subtask_type: null, immutable };
}

function isObject(value: JsonValue | undefined): value is { readonly [key: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
