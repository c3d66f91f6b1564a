import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';
import type { SqlDialect } from './sql-dialect.ts';

const WORDS_PER_INSERT = 200;

/** Vectors of single words, by the model that made them. Losing one is harmless. */
export interface WordVectors {
  getMany(model: string, words: readonly string[]): Promise<ReadonlyMap<string, Float32Array>>;
  putMany(model: string, vectors: ReadonlyMap<string, Float32Array>): Promise<void>;
}

export function createWordVectors(database: Kysely<Schema>, dialect: Pick<SqlDialect, 'isOneOf'>): WordVectors {
  return {
    async getMany(model, words) {
      if (words.length === 0) return new Map();
      const rows = await database
        .selectFrom('word_vectors')
        .select(['word', 'vector'])
        .where('model', '=', model)
        .where((where) => dialect.isOneOf(where.ref('word'), words))
        .execute();
      return new Map(rows.map(({ word, vector }) => [word, toFloats(vector)]));
    },
    async putMany(model, vectors) {
      // In one order, so that writers side by side wait for each other instead of in a circle.
      const words = [...vectors.keys()].toSorted();
      const rows = words.flatMap((word) => {
        const vector = vectors.get(word);
        return vector === undefined ? [] : [{ model, word, vector: toBytes(vector) }];
      });
      if (rows.length === 0) return;
      await database.transaction().execute(async (transaction) => {
        for (let first = 0; first < rows.length; first += WORDS_PER_INSERT) {
          await transaction
            .insertInto('word_vectors')
            .values(rows.slice(first, first + WORDS_PER_INSERT))
            .onConflict((conflict) =>
              conflict.columns(['model', 'word']).doUpdateSet((set) => ({ vector: set.ref('excluded.vector') })),
            )
            .execute();
        }
      });
    },
  };
}

function toBytes(vector: Float32Array): Uint8Array {
  return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
}

function toFloats(bytes: Uint8Array): Float32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}
