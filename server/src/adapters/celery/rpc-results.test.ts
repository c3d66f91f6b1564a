import { once } from 'node:events';
import { connect as connectSocket, createServer, type Socket } from 'node:net';
import { connect } from 'amqplib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { silentLogger, systemClock } from '../../kernel/index.ts';
import { openCelery } from './open-celery.ts';
import { describeWithRabbit, startTestRabbit } from './rabbitmq-server.contract.ts';

const SLOW_MS = 180_000;

/** A way to the broker that can be cut; who comes while it is cut is turned away. */
async function startCuttable(url: string) {
  const sockets = new Set<Socket>();
  let isCut = false;
  let turnedAway = (): void => {};
  const server = createServer((near) => {
    if (isCut) {
      near.destroy();
      turnedAway();
      return;
    }
    const far = connectSocket(Number(new URL(url).port), '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = new URL(url);
  address.port = String((server.address() as { port: number }).port);
  return {
    url: address.toString(),
    /** Resolves when a connection was tried anew, in vain. */
    cut() {
      isCut = true;
      for (const socket of sockets) socket.destroy();
      return new Promise<void>((resolve) => {
        turnedAway = resolve;
      });
    },
    mend() {
      isCut = false;
    },
    stop: () => new Promise((resolve) => server.close(resolve)),
  };
}

describeWithRabbit('results as messages of RabbitMQ', () => {
  describe('on a connection that is lost', () => {
    it('are heard when they were sent meanwhile, and their queue goes with the process', {
      timeout: SLOW_MS,
    }, async () => {
      const rabbit = await startTestRabbit();
      onTestFinished(() => rabbit.stop());
      const way = await startCuttable(rabbit.url);
      onTestFinished(() => void way.stop());
      const settings = { brokerUrl: way.url, resultBackend: 'rpc://', resultExpireSeconds: 600 };
      const celery = openCelery({ settings, clock: systemClock, logger: silentLogger });
      await celery.start();
      onTestFinished(() => celery.stop());
      const worker = await connect(rabbit.url);
      onTestFinished(() => worker.close());
      const channel = await worker.createConfirmChannel();
      const queue = celery.results.replyTo ?? '';
      await expect.poll(() => channel.checkQueue(queue), { timeout: SLOW_MS }).toMatchObject({ consumerCount: 1 });
      const sent = await celery.client.sendTask('py.add', { queue: 'python', args: [1, 2] });
      const value = sent.result();

      await way.cut();
      await expect.poll(() => channel.checkQueue(queue), { timeout: SLOW_MS }).toMatchObject({ consumerCount: 0 });
      const result = { task_id: sent.id, status: 'SUCCESS', result: 3, traceback: null, children: [] };
      const properties = { correlationId: sent.id, contentType: 'application/json', contentEncoding: 'utf-8' };
      channel.sendToQueue(queue, Buffer.from(JSON.stringify(result)), properties);
      await channel.waitForConfirms();
      way.mend();
      expect(await value).toBe(3);

      await celery.stop();
      channel.on('error', () => {});
      await expect(channel.checkQueue(queue)).rejects.toThrow('NOT_FOUND');
    });
  });
});
