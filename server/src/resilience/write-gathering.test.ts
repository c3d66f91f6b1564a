import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createWriteGathering } from './write-gathering.ts';

const open: { destroy(): unknown }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.destroy();
});

/** A connection whose near end is gathered, and what has come out at its far end. */
async function connection(admit: (socket: Socket) => void) {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [far] = (await once(server, 'connection')) as [Socket];
  open.push(near, far, { destroy: () => server.close() });
  admit(near);
  let received = '';
  far.setEncoding('utf8').on('data', (text: string) => {
    received += text;
  });
  return { near, far, received: () => received };
}

describe('gathered writes', () => {
  it('go out in order at the end of the turn, with what came before the end of the stream', async () => {
    const { admit } = createWriteGathering();
    const { near, far, received } = await connection(admit);
    near.write('one ');
    near.cork();
    near.write('two ');
    near.write('three ');
    near.uncork();
    near.end('four');
    await once(far, 'end');
    expect(received()).toBe('one two three four');
  });

  it('of several connections are handed to the kernel in one go', async () => {
    const { admit } = createWriteGathering();
    const handed: string[] = [];
    const watch = (name: string) => (socket: Socket) => {
      const write = socket._write.bind(socket);
      socket._write = (...given) => {
        handed.push(name);
        write(...given);
      };
      admit(socket);
    };
    const first = await connection(watch('first'));
    const second = await connection(watch('second'));
    first.near.write('a');
    await Promise.resolve();
    second.near.write('b');
    expect(handed).toEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(handed).toEqual(['first', 'second']);
  });

  it('hold the writer back as before, and are told of a connection that was closed meanwhile', async () => {
    const { admit } = createWriteGathering();
    const { near, far } = await connection(admit);
    far.pause();
    const large = Buffer.alloc(8 * 1024 * 1024);
    expect(near.write(large)).toBe(false);
    far.resume();
    await once(near, 'drain');
    const failed = new Promise((resolve) => near.write('late', resolve));
    near.destroy();
    expect(await failed).toBeInstanceOf(Error);
  });
});
