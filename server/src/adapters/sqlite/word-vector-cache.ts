import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import type { WordVectorCache } from '../../embeddings/index.ts';
import type { Schema } from '../../store/index.ts';

const WORDS_PER_INSERT = 200;

/** Vectors of single words, kept in the table `word_vectors`. */
export function createSqliteWordVectorCache(database: Kysely<Schema>): WordVectorCache {
  return {
    async getMany(model, words) {
      if (words.length === 0) return new Map();
      const rows = await database
        .selectFrom('word_vectors')
        .select(['word', 'vector'])
        .where('model', '=', model)
        .where(sql<boolean>`word in (select value from json_each(${JSON.stringify(words)}))`)
        .execute();
      return new Map(rows.map(({ word, vector }) => [word, toFloats(vector)]));
    },
    async putMany(model, vectors) {
      const rows = [...vectors].map(([word, vector]) => ({ model, word, vector: toBytes(vector) }));
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
