import { type Expression, type Kysely, type RawBuilder, type SqlBool, sql } from 'kysely';
import { type LeaseRegistry, LIVES } from './lease-ports.ts';
import type { Schema } from './schema.ts';

export function createLeaseRegistry(database: Kysely<Schema>, processId: string): LeaseRegistry {
  const owner = processId;

  async function acquire(
    name: string,
    { now, expiresAt }: { readonly now: number; readonly expiresAt: number },
  ): Promise<boolean> {
    const taken = await database
      .insertInto('leases')
      .values({ name, owner, expires_at: expiresAt })
      .onConflict((conflict) =>
        conflict
          .column('name')
          .doUpdateSet({ owner, expires_at: expiresAt })
          .where((where) => where.or([where('leases.owner', '=', owner), where('leases.expires_at', '<=', now)])),
      )
      .returning('name')
      .executeTakeFirst();
    return taken !== undefined;
  }

  async function release(name: string): Promise<void> {
    await database.deleteFrom('leases').where('name', '=', name).where('owner', '=', owner).execute();
  }

  return {
    processId,
    acquire,
    release,
    async mark(name) {
      const mark = { owner, expires_at: null };
      await database
        .insertInto('leases')
        .values({ name, ...mark })
        .onConflict((conflict) => conflict.column('name').doUpdateSet(mark))
        .execute();
    },
    async unmark(name) {
      await database.deleteFrom('leases').where('name', '=', name).execute();
    },
    async abandoned(beginning, now) {
      const rows = await database
        .selectFrom('leases')
        .select('name')
        .where('expires_at', 'is', null)
        .where(({ ref }) => isDead(ref('leases.owner'), now))
        .orderBy('name')
        .execute();
      return rows.map(({ name }) => name).filter((name) => name.startsWith(beginning));
    },
    async live(times) {
      await acquire(LIVES + processId, times);
    },
    async ofOthers(beginning, now) {
      const rows = await database
        .selectFrom('leases')
        .select(['name', 'leases.owner', 'expires_at'])
        .where('owner', '!=', owner)
        .where('expires_at', '>', now)
        .orderBy('name')
        .execute();
      return rows.flatMap(({ name, owner: holder, expires_at: expiresAt }) =>
        name.startsWith(beginning) && expiresAt !== null ? [{ name, owner: holder, expiresAt }] : [],
      );
    },
    async removeExpired(before) {
      const { numDeletedRows } = await database
        .deleteFrom('leases')
        .where('expires_at', '<', before)
        .executeTakeFirst();
      return Number(numDeletedRows);
    },
    end: () => release(LIVES + processId),
    async endAll() {
      await database.deleteFrom('leases').where('expires_at', 'is not', null).execute();
    },
  };
}

/** Whether the process of that id gives no sign of life any more. */
export function isDead(processId: Expression<unknown>, now: number): RawBuilder<SqlBool> {
  return sql<SqlBool>`not exists (
    select 1 from leases as lives where lives.name = ${sql.lit(LIVES)} || ${processId} and lives.expires_at > ${now}
  )`;
}
