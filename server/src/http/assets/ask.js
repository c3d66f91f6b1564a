'use strict';

// Everything shown is text put in by textContent: an answer can hold no markup.
(() => {
  const byId = (id) => document.getElementById(id);
  const { bot, key } = document.body.dataset;
  const form = byId('ask');
  const question = byId('question');
  const send = byId('send');
  const stop = byId('stop');
  const status = byId('status');
  const result = byId('result');
  const answer = byId('answer');
  const notes = byId('notes');
  const citationList = byId('citations');
  let running = null;

  if (!bot || !key) {
    question.disabled = true;
    send.disabled = true;
    say('There is no demo bot on this server. Make your own with the API.', true);
    return;
  }
  question.focus();

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const text = question.value.trim();
    if (text !== '' && running === null) ask(text);
  });
  stop.addEventListener('click', () => running?.abort());

  async function ask(text) {
    running = new AbortController();
    showBusy(true);
    clear();
    say('Looking for the answer…');
    let written = '';
    let extras = null;
    try {
      for await (const chunk of chunksOf(text, running.signal)) {
        const delta = chunk.choices?.[0]?.delta?.content;
        if (delta) {
          written += delta;
          result.hidden = false;
          answer.append(delta);
          say('Answering…');
        }
        extras = chunk.chatsphere ?? extras;
      }
      showAnswer(written, extras?.citations ?? []);
      if (written === '') say('The bot had nothing to say. Try to ask in other words.', true);
      else if (extras?.grounded === false) say('No passage of the documentation answers this.');
      else say('Done.');
    } catch (error) {
      if (error.name === 'AbortError') say('Stopped.');
      else say(error instanceof TypeError ? 'The server cannot be reached. Is it running?' : error.message, true);
    } finally {
      running = null;
      showBusy(false);
    }
  }

  async function* chunksOf(text, signal) {
    const response = await fetch('/v1/chat/completions', {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: bot, stream: true, messages: [{ role: 'user', content: text }] }),
      signal,
    });
    if (!response.ok) throw new Error(await errorOf(response));
    for await (const data of eventsOf(response.body)) {
      if (data === '[DONE]') return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Error(chunk.error.message);
      yield chunk;
    }
    throw new Error('The answer broke off. Ask again.');
  }

  async function* eventsOf(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let pending = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      pending += value;
      const frames = pending.split('\n\n');
      pending = frames.pop();
      for (const frame of frames) {
        const lines = frame.split('\n').filter((line) => line.startsWith('data: '));
        if (lines.length > 0) yield lines.map((line) => line.slice(6)).join('\n');
      }
    }
  }

  async function errorOf(response) {
    const body = await response.json().catch(() => null);
    const wait = response.headers.get('retry-after');
    const message = body?.error?.message ?? `The server answered with status ${response.status}.`;
    return wait === null ? message : `${message} (in ${wait} s)`;
  }

  function showAnswer(text, citations) {
    const known = new Set(citations.map((citation) => citation.index));
    answer.replaceChildren(
      ...text.split(/(\[\d+\])/).map((part) => {
        const index = Number(/^\[(\d+)\]$/.exec(part)?.[1]);
        return known.has(index) ? markerFor(index) : document.createTextNode(part);
      }),
    );
    citationList.replaceChildren(...citations.map(noteFor));
    notes.hidden = citations.length === 0;
  }

  function markerFor(index) {
    const link = element('a', `[${index}]`);
    link.href = `#source-${index}`;
    link.className = 'marker';
    link.setAttribute('aria-label', `Source ${index}`);
    link.addEventListener('click', () => byId(`source-${index}`)?.focus());
    return link;
  }

  function noteFor(citation) {
    const note = document.createElement('li');
    note.id = `source-${citation.index}`;
    note.value = citation.index;
    note.tabIndex = -1;
    const page = citation.page === null ? '' : `, page ${citation.page}`;
    note.append(titleOf(citation), page, element('blockquote', citation.quote));
    return note;
  }

  function titleOf(citation) {
    if (!/^https?:\/\//i.test(citation.url ?? '')) return element('strong', citation.title);
    const link = element('a', citation.title);
    link.href = citation.url;
    link.rel = 'noopener noreferrer';
    return link;
  }

  function element(name, text) {
    const made = document.createElement(name);
    made.textContent = text;
    return made;
  }

  function say(text, isBad = false) {
    if (status.textContent !== text) status.textContent = text;
    status.classList.toggle('bad', isBad);
  }

  function clear() {
    answer.replaceChildren();
    citationList.replaceChildren();
    notes.hidden = true;
    result.hidden = true;
  }

  function showBusy(busy) {
    send.disabled = busy;
    stop.hidden = !busy;
    answer.setAttribute('aria-busy', String(busy));
    if (!busy) question.focus();
  }
})();
