// An OpenAI-compatible chat model that says its tokens by the clock, in a process of its own: bare sockets and one ticker, so that
// it takes little of the processor time that is to be measured. Started with the time between two tokens and the number of tokens
// as arguments; sends {url} to its parent, and {stats} when it is asked for them. Each token is " ~DUE:SENT;": when it was due and
// when it was sent, in milliseconds since 1970. `leftAt` says when each call was cancelled, by the number in its question.
import { createServer } from 'node:net';

const [delayMs, tokens] = process.argv.slice(2).map(Number);
const SLOTS = 25;
const slots = Array.from({ length: SLOTS }, () => new Set());
const stats = { calls: 0, left: 0, finished: 0, open: 0, leftAt: {} };

const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';
const [BEFORE, AFTER] = frame({ content: 'TEXT' }).split('TEXT');
const USAGE = { prompt_tokens: 20, completion_tokens: tokens, total_tokens: 20 + tokens };
const LAST = chunk(
  `${frame({}, 'stop')}data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', choices: [], usage: USAGE })}\n\ndata: [DONE]\n\n`,
);

const server = createServer({ noDelay: true }, (socket) => {
  let asked = '';
  let stream = null;
  socket.setEncoding('latin1');
  socket.on('error', () => {});
  socket.on('data', (text) => {
    asked += text;
    const headEnd = asked.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const length = Number(/content-length: (\d+)/i.exec(asked)[1]);
    if (asked.length < headEnd + 4 + length) return;
    const number = /Question (\d+)/.exec(asked)?.[1];
    asked = '';
    stats.calls += 1;
    stats.open += 1;
    const slot = slots[stats.calls % SLOTS];
    stream = { socket, slot, number, said: 0, startedAt: 0 };
    slot.add(stream);
    socket.write(HEAD);
  });
  socket.on('close', () => {
    if (stream === null || !stream.slot.delete(stream)) return;
    stats.open -= 1;
    stats.left += 1;
    stats.leftAt[stream.number] = Date.now();
  });
});

function say(stream, now) {
  if (stream.startedAt === 0) stream.startedAt = now;
  let text = '';
  // What is due by now, also when this process itself was late.
  while (stream.said < tokens && stream.startedAt + stream.said * delayMs <= now) {
    text += chunk(`${BEFORE} ~${stream.startedAt + stream.said * delayMs}:${now};${AFTER}`);
    stream.said += 1;
  }
  if (stream.said === tokens) {
    text += `${LAST}0\r\n\r\n`;
    stream.slot.delete(stream);
    stats.open -= 1;
    stats.finished += 1;
  }
  if (text !== '') stream.socket.write(text, 'latin1');
}

function frame(delta, finish = null) {
  return `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
}

function chunk(text) {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

let turn = 0;
setInterval(() => {
  const now = Date.now();
  // A timer that came late does the turns it missed.
  const until = Math.floor(now / (delayMs / SLOTS));
  if (turn === 0 || until - turn > SLOTS) turn = until - SLOTS;
  while (turn < until) {
    turn += 1;
    for (const stream of slots[turn % SLOTS]) say(stream, now);
  }
}, delayMs / SLOTS);

server.listen({ port: 0, host: '127.0.0.1', backlog: 8192 }, () =>
  process.send({ url: `http://127.0.0.1:${server.address().port}/v1` }),
);
process.on('message', () => process.send({ stats }));
process.on('disconnect', () => process.exit(0));
