import { describe, expect, it } from 'vitest';
import { describeJobTransportContract } from './job-transport.contract.ts';
import { createMemoryTransport } from './memory-transport.ts';

describeJobTransportContract('memory', async () => createMemoryTransport());

describe('memory transport', () => {
  it('never calls a listener inside of the announcer', async () => {
    const transport = createMemoryTransport();
    await transport.start();
    const order: string[] = [];
    const heard = new Promise<void>((resolve) => {
      transport.subscribe(() => {
        order.push('heard');
        resolve();
      });
    });
    const announced = transport.announce('job_1');
    order.push('announced');
    await Promise.all([announced, heard]);
    expect(order).toEqual(['announced', 'heard']);
  });
});
