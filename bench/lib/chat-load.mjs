// Clients of chat completions that ask again as soon as they are answered, and what that costs the process that answers.
import { readFileSync } from 'node:fs';
import http from 'node:http';

/** Asks with `clients` at once for so long. Times in milliseconds. */
export async function askFor(seconds, { url, headers, body, stream }, clients) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: clients });
  const result = { firstByteMs: [], failures: 0, seconds: 0 };
  const startedAt = performance.now();
  const until = startedAt + seconds * 1000;
  const client = async () => {
    while (performance.now() < until) {
      const firstByteMs = await ask({ agent, url, headers, body, stream });
      if (firstByteMs === null) result.failures += 1;
      else result.firstByteMs.push(firstByteMs);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  result.seconds = (performance.now() - startedAt) / 1000;
  agent.destroy();
  return result;
}

/** When the first byte of the body came; null for anything but a whole answer. */
function ask({ agent, url, headers, body, stream }) {
  return new Promise((resolve) => {
    const startedAt = performance.now();
    const request = http.request(url, {
      agent,
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...headers },
    });
    request.on('error', () => resolve(null));
    request.on('response', (response) => {
      let firstByteMs = null;
      let end = '';
      response.on('data', (bytes) => {
        firstByteMs ??= performance.now() - startedAt;
        end = (end + bytes.latin1Slice(Math.max(0, bytes.length - 64))).slice(-64);
      });
      response.on('error', () => resolve(null));
      response.on('end', () => {
        const isWhole = stream ? end.trimEnd().endsWith('[DONE]') : end.trimEnd().endsWith('}');
        resolve(response.statusCode === 200 && isWhole ? firstByteMs : null);
      });
    });
    request.end(body);
  });
}

/** Processor time so far, of all threads, in milliseconds. */
export function cpuMs(pid) {
  const line = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const [user, system] = line
    .slice(line.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return (Number(user) + Number(system)) * 10;
}

/** Resident memory in MB. */
export function rssMb(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
}
