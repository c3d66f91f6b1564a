// The least that a server in front of another one can do: hands bytes on and looks at none. Benchmarks compare with it.
import http from 'node:http';

const upstream = new URL(process.argv[2]);
const agent = new http.Agent({ keepAlive: true });

const server = http.createServer((incoming, outgoing) => {
  const { hostname, port, host } = upstream;
  const { method, url } = incoming;
  const onward = http.request({ agent, hostname, port, method, path: url, headers: { ...incoming.headers, host } });
  onward.on('response', (answer) => {
    outgoing.writeHead(answer.statusCode, answer.headers);
    answer.pipe(outgoing);
  });
  onward.on('error', () => outgoing.destroy());
  outgoing.on('close', () => onward.destroy());
  incoming.pipe(onward);
});
server.listen(0, '127.0.0.1', () => process.send({ url: `http://127.0.0.1:${server.address().port}` }));
process.on('disconnect', () => process.exit(0));
