import type { EmbeddingGenerator } from './ports.ts';

/** The same embedder with vectors of another width than its own. */
export function withDimensions(generator: EmbeddingGenerator, dimensions: number): EmbeddingGenerator {
  return {
    get profile() {
      return { ...generator.profile, dimensions };
    },
    get generation() {
      return spaceName({ ...generator.profile, dimensions });
    },
    embed: (texts, request) => generator.embed(texts, { dimensions, ...request }),
  };
}

/** `${id}@${version}:${dimensions}`: names a vector space. */
export function spaceName(space: {
  readonly id: string;
  readonly version: string;
  readonly dimensions: number;
}): string {
  return `${space.id}@${space.version}:${space.dimensions}`;
}
