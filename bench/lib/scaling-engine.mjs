// What the many bots stand on: a data folder, or a PostgreSQL and a Redis that are started for the benchmark and go with it.
import { readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { join } from 'node:path';
import { startRedis } from './brokers.mjs';
import { startPostgres } from './fleet.mjs';
import { treeCpuSeconds, treeRssMb } from './server.mjs';

const requireOfServer = createRequire(new URL('../../server/package.json', import.meta.url));

/** `engine`: sqlite or postgres. `databaseUrl`, `redisUrl`: those of servers that run already; else `redis` starts one. */
export async function openEngine({ engine, databaseUrl, redis, redisUrl }) {
  const postgres = engine === 'postgres' && databaseUrl === undefined ? await startPostgres() : null;
  const ownRedis = redis && redisUrl === undefined ? await startRedis() : null;
  const url = databaseUrl ?? postgres?.url;
  const address = redisUrl ?? ownRedis?.url;
  const pids = [postgres?.pid, ownRedis?.pid].filter((pid) => pid !== undefined);
  return {
    name: `${url === undefined ? 'SQLite' : 'PostgreSQL'}${address === undefined ? '' : ' and Redis'}`,
    env: {
      ...(url === undefined ? {} : { DATABASE_URL: url }),
      ...(address === undefined ? {} : { REDIS_URL: address }),
    },
    /** Processor time of PostgreSQL and Redis, when they were started here; else 0. */
    cpuSeconds: () => pids.reduce((sum, pid) => sum + treeCpuSeconds(pid), 0),
    postgresRssMb: () => (postgres === null ? null : treeRssMb(postgres.pid)),
    redisMb: async () => (address === undefined ? null : redisMemory(address)),
    bytes: (folder) => (url === undefined ? bytesOfFiles(folder) : bytesOfDatabase(url)),
    async version() {
      if (url === undefined) return sqliteVersion();
      return (await rowsOf(url, `select current_setting('server_version') as version`))[0].version;
    },
    async stop() {
      await postgres?.stop();
      await ownRedis?.stop();
    },
  };
}

function bytesOfFiles(folder) {
  return readdirSync(folder)
    .filter((name) => name.startsWith('chatsphere.db'))
    .reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

async function bytesOfDatabase(url) {
  return Number((await rowsOf(url, 'select pg_database_size(current_database()) as bytes'))[0].bytes);
}

async function rowsOf(url, text) {
  const pg = requireOfServer('pg');
  const database = new pg.Client({ connectionString: url });
  await database.connect();
  try {
    return (await database.query(text)).rows;
  } finally {
    await database.end();
  }
}

function sqliteVersion() {
  const Database = requireOfServer('libsql');
  const database = new Database(':memory:');
  try {
    return database.prepare('select sqlite_version() as version').get([]).version;
  } finally {
    database.close();
  }
}

async function redisMemory(address) {
  const { hostname, port } = new URL(address);
  const socket = connect(Number(port), hostname);
  socket.write('INFO memory\r\nQUIT\r\n');
  let text = '';
  for await (const bytes of socket) text += bytes;
  return Math.round(Number(/used_memory:(\d+)/.exec(text)[1]) / 1e5) / 10;
}
