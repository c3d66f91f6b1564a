import { sql } from 'kysely';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { createBusTransport } from '../../jobs/index.ts';
import { describeJobTransportContract } from '../../jobs/job-transport.contract.ts';
import { silentLogger, systemClock } from '../../kernel/index.ts';
import { describeMessageBus } from '../../resilience/message-bus.contract.ts';
import { openPostgres, type Postgres } from './index.ts';
import { createPostgresBus } from './postgres-bus.ts';
import { describeWithPostgres, startTestPostgres, type TestPostgres } from './postgres-server.contract.ts';

describeWithPostgres('notifications of PostgreSQL', () => {
  let started: Promise<TestPostgres> | null = null;
  const server = (): Promise<TestPostgres> => {
    started ??= startTestPostgres();
    return started;
  };
  const opened: Postgres[] = [];
  const open = async (): Promise<Postgres> => {
    const postgres = openPostgres({ url: (await server()).url, clock: systemClock, logger: silentLogger });
    opened.push(postgres);
    await postgres.store.start();
    return postgres;
  };
  const closeAll = async () => {
    await Promise.all(opened.splice(0).map(({ store }) => store.stop()));
  };
  afterEach(closeAll);
  afterAll(async () => {
    await (await started)?.remove();
  });

  describeMessageBus('PostgreSQL', async () => {
    const [here, there] = [await open(), await open()];
    return { here: here.bus, there: there.bus, stop: closeAll };
  });

  describeJobTransportContract('notifications of PostgreSQL', async () => createBusTransport((await open()).bus));

  describe('when the connection that listens is lost', () => {
    const nextGap = (postgres: Postgres, topic: string) =>
      new Promise<void>((resolve) => postgres.bus.subscribe(topic, { message: () => {}, gap: resolve }));

    it('hears itself meanwhile, and tells of the gap when messages come again', async () => {
      const [here, there] = [await open(), await open()];
      const gaps = Promise.all([nextGap(here, 'a'), nextGap(there, 'a')]);
      const heard = new Promise<string>((resolve) => here.bus.subscribe('a', { message: resolve }));
      await (await server()).stop('fast');
      here.bus.publish('a', 'meanwhile');
      expect(await heard).toBe('meanwhile');
      await (await server()).start();
      await gaps;
      const again = new Promise<string>((resolve) => there.bus.subscribe('a', { message: resolve }));
      here.bus.publish('a', 'again');
      expect(await again).toBe('again');
    });

    it('tells others of the gap when something could not be sent while it heard', async () => {
      const there = await open();
      let isAway = false;
      const here = createPostgresBus({
        ...{ listenUrl: (await server()).url, clock: systemClock, logger: silentLogger },
        async notify(channel, payloads) {
          if (isAway) throw new Error('no connection is free');
          const { background } = there.databases;
          for (const payload of payloads) await sql`select pg_notify(${channel}, ${payload})`.execute(background);
        },
      });
      await here.start();
      await expect.poll(() => here.hears() && there.bus.hears(), { timeout: 20_000 }).toBe(true);
      const gap = nextGap(there, 'a');
      const told = new Promise<string>((resolve) => here.subscribe('a', { message: resolve }));
      isAway = true;
      here.publish('a', 'lost');
      expect(await told).toBe('lost');
      isAway = false;
      here.publish('b', 'next');
      await gap;
      await here.stop();
    });

    it('tells of what is too long to be carried as a gap', async () => {
      const [here, there] = [await open(), await open()];
      const gap = nextGap(there, 'a');
      here.bus.publish('a', 'x'.repeat(10_000));
      await gap;
    });
  });
});
