import { connect } from 'node:net';

/** Asks for a streamed answer over a socket of its own: as little work a token as can be. */
export function openStream({ url, key, body, onText, onEnd }) {
  const { hostname, port } = new URL(url);
  const content = JSON.stringify(body);
  const socket = connect(Number(port), hostname);
  socket.setEncoding('latin1');
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(content)}\r\nconnection: close\r\n\r\n${content}`,
  );
  socket.on('data', onText);
  socket.on('error', () => {});
  socket.on('close', onEnd);
  return { leave: () => socket.destroy() };
}
