// An OpenAI-compatible chat model that says its tokens by the clock, in a process of its own. Started with the time between two
// tokens and the number of tokens as arguments; sends {url} to its parent, and {stats} when it is asked for them. Each token is
// " ~DUE:SENT;": when it was due and when it was sent, in milliseconds since 1970.
import { createServer } from 'node:http';

const [delayMs, tokens] = process.argv.slice(2).map(Number);
const SLOTS = 25;
const slots = Array.from({ length: SLOTS }, () => new Set());
const stats = { calls: 0, left: 0, finished: 0, open: 0, leftAt: [] };

const server = createServer((request, response) => {
  request.resume();
  request.on('end', () => {
    stats.calls += 1;
    stats.open += 1;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    const stream = { response, said: 0, startedAt: 0 };
    const slot = slots[stats.calls % SLOTS];
    slot.add(stream);
    response.on('close', () => {
      slot.delete(stream);
      stats.open -= 1;
      if (response.writableFinished) stats.finished += 1;
      else {
        stats.left += 1;
        stats.leftAt.push(Date.now());
      }
    });
  });
});

function say(stream, now) {
  if (stream.startedAt === 0) stream.startedAt = now;
  let frames = '';
  // What is due by now, also when this process itself was late.
  while (stream.said < tokens && stream.startedAt + stream.said * delayMs <= now) {
    frames += frame({ content: ` ~${stream.startedAt + stream.said * delayMs}:${now};` });
    stream.said += 1;
  }
  if (stream.said === tokens) {
    stream.response.end(`${frames}${frame({}, 'stop')}data: [DONE]\n\n`);
    stream.said += 1;
  } else if (frames !== '') stream.response.write(frames);
}

function frame(delta, finish = null) {
  return `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
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

server.listen(0, '127.0.0.1', 8192, () => process.send({ url: `http://127.0.0.1:${server.address().port}/v1` }));
process.on('message', () => process.send({ stats }));
process.on('disconnect', () => process.exit(0));
