import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const MODULE = fileURLToPath(new URL('./paced-upstream.mjs', import.meta.url));

/** Starts the paced model in a process of its own. */
export async function startUpstream({ delayMs, tokens }) {
  const child = fork(MODULE, [String(delayMs), String(tokens)]);
  const [{ url }] = await once(child, 'message');
  return {
    url,
    pid: child.pid,
    async stats() {
      child.send('stats');
      const [{ stats }] = await once(child, 'message');
      return stats;
    },
    stop: () => child.disconnect(),
  };
}
