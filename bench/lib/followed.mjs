import { sleep } from './server.mjs';

const QUIET_MS = 2_500;

/** Waits until the vectors that follow training in the background are there; in how many ms they were, null when none came. */
export async function followed({ url, key }, limitMs = 600_000) {
  const startedAt = performance.now();
  let quietSince = startedAt;
  while (performance.now() - startedAt < limitMs) {
    const { running, ended } = await followJobs(url, key);
    if (running > 0) quietSince = performance.now();
    // A second job may be queued a moment after the first one has ended.
    if (performance.now() - quietSince > QUIET_MS) return ended > 0 ? quietSince - startedAt : null;
    await sleep(200);
  }
  throw new Error('the vectors that follow took too long');
}

async function followJobs(url, key) {
  const response = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${key}` } });
  const text = await response.text();
  const numberIn = (pattern) => Number(pattern.exec(text)?.[1] ?? 0);
  return {
    running: numberIn(/^chatsphere_jobs_running\{kind="follow"\} (\S+)$/m),
    ended: numberIn(/^chatsphere_job_ended_total\{kind="follow",state="succeeded"\} (\S+)$/m),
  };
}
