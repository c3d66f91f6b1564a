import type { Namespace, VectorStore } from './ports.ts';

/** The same store, where what is deleted from a bot's content goes from further generations of the bot at once. */
export function withLinkedGenerations(store: VectorStore, generations: readonly string[]): VectorStore {
  const each = async (namespace: Namespace, change: (namespace: Namespace) => Promise<void>): Promise<void> => {
    const all = new Set([namespace.generation, ...generations]);
    await Promise.all([...all].map((generation) => change({ ...namespace, generation })));
  };
  return {
    ...store,
    deleteDocuments: (namespace, documentIds, signal) =>
      each(namespace, (linked) => store.deleteDocuments(linked, documentIds, signal)),
    deleteNamespace: (namespace, signal) => each(namespace, (linked) => store.deleteNamespace(linked, signal)),
  };
}
