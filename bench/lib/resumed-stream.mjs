// A streamed answer that is taken up again where it broke off, at whichever server the address leads to.
import { sleep } from './server.mjs';

const ID = /^id: (\d+)$/;
const PATIENCE_MS = 30_000;

/**
 * Reads an answer, and takes it up at `resumeUrl`. `begun` resolves with its first event; `ended` with how it went: `whole`, or the code of the `error`
 * event that ended it, how often and how long after the break (in milliseconds) it was taken up, whether each
 * event came once and in order, and for one that was taken up and became whole whether it is replayed as it was read.
 */
export function readResumed({ url, resumeUrl = url, key, body }) {
  let onBegun = () => {};
  const begun = new Promise((resolve) => {
    onBegun = resolve;
  });
  const state = { message: null, last: 0, inOrder: true, resumed: 0, resumedAfterMs: null, ending: null, text: '' };
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };

  async function read(response) {
    state.message ??= response.headers.get('x-chatsphere-message');
    let torn = '';
    for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
      const lines = (torn + part).split('\n');
      torn = lines.pop();
      for (const line of lines) take(line);
    }
  }

  function take(line) {
    const number = Number(ID.exec(line)?.[1] ?? 0);
    if (number > 0) {
      // An event may be told of in several lines.
      if (number !== state.last && number !== state.last + 1) state.inOrder = false;
      state.last = Math.max(state.last, number);
      onBegun();
    }
    state.text += textOf(line);
    if (line === 'data: [DONE]') state.ending = 'whole';
    else if (line.startsWith('data: {"error"')) state.ending = JSON.parse(line.slice(6)).error.code;
  }

  async function run() {
    let brokeAt = null;
    const response = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body: JSON.stringify(body) });
    if (response.status !== 200) {
      await response.text().catch(() => '');
      return { ...state, ending: `status ${response.status}` };
    }
    await read(response).catch(() => {});
    while (state.ending === null) {
      brokeAt ??= performance.now();
      if (performance.now() - brokeAt > PATIENCE_MS) return { ...state, ending: 'never resumed' };
      const path = `/v1/messages/${state.message}/stream?after=${state.last}`;
      const again = await fetch(`${resumeUrl}${path}`, { headers }).catch(() => null);
      if (again?.status === 200) {
        state.resumed += 1;
        state.resumedAfterMs ??= Math.round(performance.now() - brokeAt);
        await read(again).catch(() => {});
      } else {
        await again?.text();
        await sleep(100);
      }
    }
    const endedAfterMs = brokeAt === null ? null : Math.round(performance.now() - brokeAt);
    const isReplayed = brokeAt !== null && state.ending === 'whole' && (await replayed()) === state.text;
    return { ...state, endedAfterMs, isReplayed };
  }

  async function replayed() {
    const response = await fetch(`${resumeUrl}/v1/messages/${state.message}/stream`, { headers }).catch(() => null);
    const lines = (await response?.text().catch(() => ''))?.split('\n') ?? [];
    return lines.map(textOf).join('');
  }

  return { begun, ended: run() };
}

function textOf(line) {
  if (!line.startsWith('data: {')) return '';
  return JSON.parse(line.slice(6)).choices?.[0]?.delta?.content ?? '';
}
