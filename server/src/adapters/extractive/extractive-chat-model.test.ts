import { describe, expect, it } from 'vitest';
import type { ChatModelRequest, Passage } from '../../llm/index.ts';
import { createExtractiveChatModel, NEEDS_CHAT_MODEL_MESSAGE } from './extractive-chat-model.ts';

const passages: readonly Passage[] = [
  {
    index: 1,
    title: 'Leave types',
    headingPath: ['Types of leave'],
    score: 1,
    text: [
      '### Annual leave',
      '',
      'You may use annual leave for any reason. Annual leave accrues based on how long you have worked here:',
      '',
      '* Fewer than 3 years: 4 hours per pay period',
      '* Between 3 and 15 years: 6 hours per pay period',
      '* 15+ years: 8 hours per pay period',
      '',
      'You can carry over a maximum of **240 annual leave hours** into the next [leave year](https://example.org/year).',
      '',
      '### Jury duty',
      '',
      'When you are called to jury duty, your absence is marked as Court Leave. It does not count against any balance.',
    ].join('\n'),
  },
  {
    index: 2,
    title: 'Badges',
    headingPath: ['Getting a badge'],
    score: 0.8,
    text: [
      'New badges are processed every Wednesday. To check on the status of your badge, email badge@example.org.',
      '',
      '## Setting up a computer with your badge',
      '',
      '1. Open the Self Service application and select "Badge".',
      '2. Plug a card reader into your laptop.',
      '3. Run the check. Enter this command:',
      '',
      '   ```',
      '   badge --check',
      '   ```',
      '4. Log out.',
    ].join('\n'),
  },
  {
    index: 3,
    title: 'Common questions',
    headingPath: ['Can I get a refund for a lost transit card?'],
    score: 0.7,
    text: '## Can I get a refund for a lost transit card?\n\nYes. Report the loss within 30 days. The team then pays the balance back.',
  },
  {
    index: 4,
    title: 'Important dates',
    headingPath: [],
    score: 0.6,
    text: '| Date | Item |\n| --- | --- |\n| October 1 | The performance cycle begins |\n| June 2 | Mid-year reviews are due |',
  },
];

const REFUSAL = 'I could not find that.';
const model = createExtractiveChatModel();

async function say(question: string, changes: Partial<ChatModelRequest> = {}) {
  const request: ChatModelRequest = {
    messages: [{ role: 'user', content: question }],
    grounding: { question, passages, refusalMessage: REFUSAL },
    ...changes,
  };
  const deltas: string[] = [];
  for await (const event of model.doStream(request, {})) {
    if (event.type === 'end') return { text: deltas.join(''), deltas, end: event };
    if (event.type === 'text-delta') deltas.push(event.text);
  }
  throw new Error('the stream has no end');
}

describe('extractive chat model', () => {
  it('answers with the sentence that answers, without Markdown, and its marker', async () => {
    const { text, end } = await say('How many hours of annual leave can I carry over?');
    expect(text).toBe('You can carry over a maximum of 240 annual leave hours into the next leave year [1].');
    expect(end).toEqual({ type: 'end', finishReason: 'stop', usage: null });
  });

  it('gives a list with what leads into it', async () => {
    const { text } = await say('How does annual leave accrue?');
    expect(text).toBe(
      [
        'Annual leave accrues based on how long you have worked here:',
        '',
        '- Fewer than 3 years: 4 hours per pay period [1]',
        '- Between 3 and 15 years: 6 hours per pay period [1]',
        '- 15+ years: 8 hours per pay period [1]',
      ].join('\n'),
    );
  });

  it('gives steps as a numbered list, with the commands in them', async () => {
    const { text } = await say('How do I set up my computer with the badge?');
    expect(text).toContain('1. Open the Self Service application and select "Badge" [2].');
    expect(text).toContain('3. Run the check. Enter this command [2]:\n```\nbadge --check\n```\n4. Log out [2].');
  });

  it('takes a sentence along that the chosen one cannot be understood without', async () => {
    const { text } = await say('Does jury duty count against my balance?');
    expect(text).toContain('your absence is marked as Court Leave [1]. It does not count against any balance [1].');
  });

  it('answers a known question with its answer alone', async () => {
    const { text } = await say('Can I get a refund for my lost transit card?');
    expect(text).toBe('Yes [3]. Report the loss within 30 days [3]. The team then pays the balance back [3].');
  });

  it('reads a table row as a statement', async () => {
    expect((await say('When are mid-year reviews due?')).text).toBe('June 2: Mid-year reviews are due [4].');
  });

  it('answers when', async () => {
    expect((await say('When are new badges processed?')).text).toContain(
      'New badges are processed every Wednesday [2].',
    );
  });

  it.each([
    'What is the capital of Mongolia?',
    'How do I bake sourdough bread?',
    'Who won the world cup in 2018?',
    'How tall is Mount Everest?',
    'Write a poem about the sea',
    '休暇は何日ですか',
    '???',
  ])('declines %j in exactly the given words', async (question) => {
    expect((await say(question)).text).toBe(REFUSAL);
  });

  it('declines when there are no passages', async () => {
    const grounding = { question: 'How much leave?', passages: [], refusalMessage: REFUSAL };
    expect((await say('How much leave?', { grounding })).text).toBe(REFUSAL);
  });

  it('greets back', async () => {
    expect((await say('Hello!')).text).toMatch(/^Hello!/u);
  });

  it('says what it needs where there is nothing to quote from', async () => {
    expect((await say('Tell me a joke', { grounding: null })).text).toBe(NEEDS_CHAT_MODEL_MESSAGE);
  });

  it('ends at a stop sequence and at the token limit', async () => {
    const question = 'How many hours of annual leave can I carry over?';
    expect((await say(question, { stop: [' of 240', ''] })).text).toBe('You can carry over a maximum');
    const cut = await say(question, { maxOutputTokens: 4 });
    expect(cut.end).toMatchObject({ finishReason: 'length' });
    expect(cut.text).toBe('You can carry');
  });

  it('streams word by word, and stops when aborted', async () => {
    expect((await say('When are new badges processed?')).deltas.length).toBeGreaterThan(5);
    const controller = new AbortController();
    const question = 'When are new badges processed?';
    const stream = model.doStream(
      { messages: [], grounding: { question, passages, refusalMessage: REFUSAL } },
      { signal: controller.signal },
    );
    const reading = (async () => {
      for await (const _event of stream) controller.abort();
    })();
    await expect(reading).rejects.toThrow();
  });

  it('uses likeness of meaning where words differ, and does without when the embedder fails', async () => {
    const question = 'When do I receive my ID pass?';
    const grounding = { question, passages, refusalMessage: REFUSAL };
    const meaning = new Set([question, 'New badges are processed every Wednesday.']);
    const embed = async (texts: readonly string[]) =>
      texts.map((text) => new Float32Array([meaning.has(text) ? 1 : 0, 0]));
    const likeness: string[] = [];
    for await (const event of createExtractiveChatModel({ embed }).doStream({ messages: [], grounding }, {})) {
      if (event.type === 'text-delta') likeness.push(event.text);
    }
    expect(likeness.join('')).toBeTruthy();
    const failing = createExtractiveChatModel({ embed: async () => Promise.reject(new Error('away')) });
    const words: string[] = [];
    const known = { ...grounding, question: 'When are new badges processed?' };
    for await (const event of failing.doStream({ messages: [], grounding: known }, {})) {
      if (event.type === 'text-delta') words.push(event.text);
    }
    expect(words.join('')).toContain('every Wednesday [2].');
  });
});
