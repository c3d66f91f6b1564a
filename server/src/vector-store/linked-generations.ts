import type { Namespace, VectorStore } from './ports.ts';

/** The same store, where what is deleted from a bot's content goes from further generations of the bot at once. */
export function withLinkedGenerations(
  store: VectorStore,
  linked: (generation: string) => readonly string[],
): VectorStore {
  const inEach = async (namespace: Namespace, change: (namespace: Namespace) => Promise<void>): Promise<void> => {
    const all = new Set([namespace.generation, ...linked(namespace.generation)]);
    await Promise.all([...all].map((generation) => change({ ...namespace, generation })));
  };
  return {
    ...store,
    deleteDocuments: (namespace, documentIds, signal) =>
      inEach(namespace, (each) => store.deleteDocuments(each, documentIds, signal)),
    deleteNamespace: (namespace, signal) => inEach(namespace, (each) => store.deleteNamespace(each, signal)),
  };
}
