import { afterEach, describe, expect, it } from 'vitest';
import type { JobTransport } from './ports.ts';

/** What every transport owes to runners. `make` returns a fresh one, not yet started. */
export function describeJobTransportContract(name: string, make: () => Promise<JobTransport>): void {
  describe(`job transport contract: ${name}`, () => {
    const made: JobTransport[] = [];
    const open = async (): Promise<JobTransport> => {
      const transport = await make();
      made.push(transport);
      return transport;
    };
    afterEach(async () => {
      await Promise.all(made.splice(0).map((transport) => transport.stop()));
    });

    it('carries an announcement to a subscriber', async () => {
      const transport = await open();
      await transport.start();
      const heard = new Promise((resolve) => transport.subscribe(resolve));
      await transport.announce('job_1');
      expect(await heard).toBe('job_1');
    });

    it('carries every one of many announcements', async () => {
      const transport = await open();
      await transport.start();
      const ids = Array.from({ length: 200 }, (_, index) => `job_${index}`);
      const heard = new Set<string>();
      const all = new Promise<void>((resolve) => {
        transport.subscribe((jobId) => {
          heard.add(jobId);
          if (heard.size === ids.length) resolve();
        });
      });
      await Promise.all(ids.map((jobId) => transport.announce(jobId)));
      await all;
      expect(heard).toEqual(new Set(ids));
    });

    it('carries an announcement again that is made after it was heard', async () => {
      const transport = await open();
      await transport.start();
      let hear = (): void => {};
      transport.subscribe(() => hear());
      for (let time = 0; time < 3; time += 1) {
        const heard = new Promise<void>((resolve) => {
          hear = resolve;
        });
        await transport.announce('job_1');
        await heard;
      }
    });

    it('leaves those who unsubscribed in peace', async () => {
      const transport = await open();
      await transport.start();
      const gone: string[] = [];
      const unsubscribe = transport.subscribe((jobId) => void gone.push(jobId));
      unsubscribe();
      unsubscribe();
      const heard = new Promise((resolve) => transport.subscribe(resolve));
      await transport.announce('job_1');
      await heard;
      expect(gone).toEqual([]);
    });

    it('may lose but never refuses an announcement that nobody hears', async () => {
      const transport = await open();
      await expect(transport.announce('job_1')).resolves.toBeUndefined();
      await transport.start();
      await expect(transport.announce('job_1')).resolves.toBeUndefined();
      await transport.stop();
      await expect(transport.announce('job_1')).resolves.toBeUndefined();
      await expect(transport.stop()).resolves.toBeUndefined();
    });
  });
}
