// Preloaded into programs that would listen on every address: they listen on this machine's own alone.
import net from 'node:net';

const { listen } = net.Server.prototype;
net.Server.prototype.listen = function (...given) {
  const [first, ...rest] = given;
  if (typeof first === 'object' && first !== null) return listen.call(this, { ...first, host: '127.0.0.1' }, ...rest);
  const callback = given.find((one) => typeof one === 'function');
  return listen.call(this, { port: Number(first), host: '127.0.0.1' }, callback);
};
