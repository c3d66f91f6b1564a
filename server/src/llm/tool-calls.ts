import type { ToolCall, ToolCallDelta } from './ports.ts';

/** Puts calls of tools together from their pieces. */
export interface ToolCallCollector {
  add(delta: ToolCallDelta): void;
  /** The calls so far, in the order in which they were begun. */
  calls(): readonly ToolCall[];
}

export function createToolCallCollector(): ToolCallCollector {
  const begun = new Map<number, { id: string; name: string; readonly pieces: string[] }>();
  return {
    add({ index, id, name, argumentsText }) {
      const known = begun.get(index);
      if (known === undefined) {
        begun.set(index, { id: id ?? '', name: name ?? '', pieces: [argumentsText] });
        return;
      }
      known.id = id ?? known.id;
      known.name = name ?? known.name;
      known.pieces.push(argumentsText);
    },
    calls: () => [...begun.values()].map(({ id, name, pieces }) => ({ id, name, argumentsText: pieces.join('') })),
  };
}
