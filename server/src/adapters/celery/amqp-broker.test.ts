import { connect } from 'amqplib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Logger, silentLogger } from '../../kernel/index.ts';
import { createAmqpBroker } from './amqp-broker.ts';
import { describeWithRabbit, startTestRabbit } from './rabbitmq-server.contract.ts';

const SLOW_MS = 180_000;

describeWithRabbit('a connection to RabbitMQ', () => {
  describe('on which not all consumers can be attached', () => {
    it('is closed before the next one is made', { timeout: SLOW_MS }, async () => {
      const rabbit = await startTestRabbit();
      onTestFinished(() => rabbit.stop());
      const other = await connect(rabbit.url);
      const channel = await other.createChannel();
      // As what is left of a connection that was lost holds it until RabbitMQ notices.
      await channel.assertQueue('private', { exclusive: true });
      let refusals = 0;
      const logger: Logger = {
        ...silentLogger,
        warn(fields) {
          if (String(fields['reason']).includes('RESOURCE_LOCKED')) refusals += 1;
        },
      };
      const broker = createAmqpBroker({ url: rabbit.url, logger });
      onTestFinished(() => broker.stop());
      const [common, onDelivery] = [{ places: 1 }, () => {}];
      await broker.consume('work', { ...common, onDelivery });
      const heard = new Promise<void>((resolve) => {
        void broker.consume('private', { ...common, isPrivate: true, onDelivery: () => resolve() });
      });
      await broker.start();
      await expect.poll(() => refusals, { timeout: SLOW_MS }).toBeGreaterThan(0);
      await other.close();
      const watching = await connect(rabbit.url);
      const watcher = await watching.createChannel();
      const envelope = { headers: {}, contentType: '', contentEncoding: '', correlationId: null, replyTo: null };
      const message = { ...envelope, priority: 0, body: Buffer.from('x') };
      const publish = () => broker.publish('private', message, { toExisting: true }).catch(() => {});
      let isHeard = false;
      void heard.then(() => {
        isHeard = true;
      });
      await expect
        .poll(
          async () => {
            await publish();
            return isHeard;
          },
          { timeout: SLOW_MS },
        )
        .toBe(true);
      await expect.poll(async () => (await watcher.checkQueue('work')).consumerCount, { timeout: 20_000 }).toBe(1);
      await watching.close();
    });
  });
});
