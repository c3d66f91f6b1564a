import type { Kysely, Selectable } from 'kysely';
import type { Worker } from './entities.ts';
import type { Schema, WorkersTable } from './schema.ts';
import type { WorkerRegistry } from './worker-ports.ts';

export function createWorkerRegistry(database: Kysely<Schema>): WorkerRegistry {
  return {
    async beat({ id, host, pid, places, running, startedAt, seenAt }) {
      const now = { running, seen_at: seenAt };
      await database
        .insertInto('workers')
        .values({ id, host, pid, places, started_at: startedAt, ...now })
        .onConflict((conflict) => conflict.column('id').doUpdateSet(now))
        .execute();
    },
    async list() {
      const rows = await database.selectFrom('workers').selectAll().orderBy('started_at').orderBy('id').execute();
      return rows.map(toWorker);
    },
    async remove(id) {
      await database.deleteFrom('workers').where('id', '=', id).execute();
    },
    async removeUnseen(before) {
      const { numDeletedRows } = await database.deleteFrom('workers').where('seen_at', '<', before).executeTakeFirst();
      return Number(numDeletedRows);
    },
  };
}

function toWorker(row: Selectable<WorkersTable>): Worker {
  return {
    id: row.id,
    host: row.host,
    pid: row.pid,
    places: row.places,
    running: row.running,
    startedAt: row.started_at,
    seenAt: row.seen_at,
  };
}
