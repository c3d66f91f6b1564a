import { connect } from 'node:net';
import type { Config } from './config.ts';

const PATIENCE_MS = 3000;

/** The models that answer for bots that name none, in their order, with the number of keys where there are several. */
export function describeChain({ chatModel, chatModelFallbacks, chatModelCheaper, providers }: Config): string {
  const names = [chatModel, ...chatModelFallbacks, ...chatModelCheaper].map(
    ({ provider, model }) => `${provider}/${model}`,
  );
  const several = [...providers.values()].filter(({ apiKeys }) => apiKeys.length > 1);
  const counts = several.map(({ name, apiKeys }) => `${apiKeys.length} keys of ${name}`);
  const keys = counts.length > 0 ? ` (${counts.join(', ')})` : '';
  return `${[...new Set(names)].join(', then ')}${keys}`;
}

/** Which of the addresses do not take a connection. Nothing is sent to them. */
export async function unreachable(addresses: readonly string[]): Promise<readonly string[]> {
  const taken = await Promise.all(addresses.map((address) => takesConnection(new URL(address))));
  return addresses.filter((_, place) => taken[place] === false);
}

function takesConnection({ hostname, port, protocol }: URL): Promise<boolean> {
  const number = port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: number, timeout: PATIENCE_MS });
    const settle = (isTaken: boolean): void => {
      socket.destroy();
      resolve(isTaken);
    };
    socket.once('connect', () => settle(true));
    socket.once('timeout', () => settle(false));
    socket.once('error', () => settle(false));
  });
}
