// The very files of deploy/nginx and deploy/haproxy, started on free ports: only addresses are put in place of theirs. Their logs
// say which server each request was sent to.
import { spawn } from 'node:child_process';
import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { freePort } from './brokers.mjs';
import { answering, stopperOf } from './fleet.mjs';

const KINDS = {
  nginx: {
    example: new URL('../../deploy/nginx/chatsphere.conf', import.meta.url),
    listens: ['listen 80;', (port) => `listen 127.0.0.1:${port};`],
    // The file is of the context `http`; what is around it is Debian's, on folders of its own.
    around: (folder) => `daemon off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
worker_processes 1;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 4096; }
http {
  log_format bench '$request_uri $upstream_addr';
  access_log ${folder}/access.log bench;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  include ${folder}/chatsphere.conf;
}
`,
    file: 'chatsphere.conf',
    command: (folder) => ['nginx', ['-c', join(folder, 'around.conf'), '-p', folder]],
  },
  haproxy: {
    example: new URL('../../deploy/haproxy/haproxy.cfg', import.meta.url),
    listens: ['bind :80', (port) => `bind 127.0.0.1:${port}`],
    file: 'haproxy.cfg',
    command: (folder) => ['haproxy', ['-f', join(folder, 'haproxy.cfg'), '-db']],
  },
};
const SERVERS = ['127.0.0.1:3000', '127.0.0.1:3100'];

/**
 * Starts `kind` (`nginx` or `haproxy`) before the servers at two `ports` of this machine. `serversOf(request)` says which of them (their places in `ports`)
 * a request was sent to, once the proxy has stopped, by what stands in its query.
 */
export async function startProxy(kind, ports) {
  const { example, listens, around, file, command } = KINDS[kind];
  const folder = mkdtempSync(join(tmpdir(), `chatsphere-${kind}-`));
  const port = await freePort();
  const [listening, onPort] = listens;
  const replaced = [[listening, onPort(port)], ...SERVERS.map((server, at) => [server, `127.0.0.1:${ports[at]}`])];
  writeFileSync(join(folder, file), replaced.reduce(replacedAll, readFileSync(example, 'utf8')));
  if (around !== undefined) writeFileSync(join(folder, 'around.conf'), around(folder));
  const [program, args] = command(folder);
  const server = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const output = server.stdout.pipe(createWriteStream(join(folder, 'output.log')));
  await answering(port, server);
  const stopServer = stopperOf(server);
  let log = '';
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      await stopServer();
      await finished(output);
      log = readFileSync(join(folder, kind === 'nginx' ? 'access.log' : 'output.log'), 'utf8');
      rmSync(folder, { recursive: true, force: true });
    },
    serversOf(request) {
      const line = log.split('\n').find((each) => new RegExp(`[?&]request=${request}\\b`).test(each)) ?? '';
      const names = kind === 'nginx' ? ports.map((own) => `:${own}`) : ['chatsphere/one ', 'chatsphere/two '];
      return names.flatMap((name, at) => (line.includes(name) ? [at] : []));
    },
  };
}

/** Throws unless it stands there: else it would not be the example that runs. */
function replacedAll(text, [from, to]) {
  if (!text.includes(from)) throw new Error(`the example is to have ${from}`);
  return text.replaceAll(from, to);
}
