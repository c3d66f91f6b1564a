import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../kernel/index.ts';
import { createLogger, type LoggerOptions } from './logger.ts';

const CONFIGURED = 'correct horse battery';
const SECRETS = {
  key: 'cs_live_Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4AbCdEf',
  publicKey: 'cs_pub_Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4AbCdEf',
  openai: 'sk-proj-canary_0123456789abcdef',
  anthropic: 'sk-ant-api03-canary-0123456789',
  pinecone: 'pcsk_canary0123456789',
  jwt: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlY2FuYXJ5',
  aws: 'AKIAIOSFODNN7CANARY0',
  github: 'ghp_canary0123456789abcdefABCD',
  configured: CONFIGURED,
};

function setUp(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const logger = createLogger({ level: 'debug', destination, secrets: [CONFIGURED], ...options });
  return { logger, lines, last: (): Record<string, unknown> => JSON.parse(lines.at(-1) ?? '{}') };
}

describe('logger', () => {
  it('writes one JSON line with a time, a level by name, the fields and the message', () => {
    const { logger, last } = setUp();
    logger.warn({ job: 'job_1', attempts: 3, ok: true, none: null, when: new Date(0) }, 'A stage failed');
    expect(last()).toMatchObject({
      level: 'warn',
      msg: 'A stage failed',
      job: 'job_1',
      attempts: 3,
      ok: true,
      none: null,
      when: '1970-01-01T00:00:00.000Z',
    });
    expect(Date.parse(String(last()['time']))).not.toBeNaN();
  });

  it('keeps to its level', () => {
    const { logger, lines } = setUp({ level: 'warn' });
    logger.debug({}, 'no');
    logger.info({}, 'no');
    logger.error({}, 'yes');
    expect(lines).toHaveLength(1);
  });

  it('leaves ordinary text as it is', () => {
    const { logger, last } = setUp();
    const text = 'task-12345678 used 512 tokens: risk-averse; max_tokens=5 job_01abc (https://example.com:8080/a@b)';
    logger.info({ text, tokens: 512, token: 7 }, text);
    expect(last()).toMatchObject({ text, msg: text, tokens: 512, token: 7 });
  });

  describe.each(Object.entries(SECRETS))('with a secret (%s)', (_, secret) => {
    const places: [string, (secret: string) => [Record<string, unknown>, string]][] = [
      ['in the message', (text) => [{}, `Call with ${text}, refused`]],
      ['in a field', (text) => [{ text }, '']],
      ['at depth', (text) => [{ a: [{ b: new Map([['c', new Set([`${text}`])]]) }] }, '']],
      ['as a name', (text) => [{ [text]: 1 }, '']],
      ['in a header', (text) => [{ headers: { Authorization: `Bearer ${text}` } }, '']],
      ['in a URL', (text) => [{ url: new URL(`https://user:${encodeURIComponent(text)}@host/?key=${text}`) }, '']],
      ['in an error', (text) => [{ error: new Error(`refused ${text}`) }, '']],
      ['in a cause', (text) => [{ error: new AppError('internal_error', 'x', { cause: new Error(text) }) }, '']],
      ['in a group of errors', (text) => [{ error: new AggregateError([new Error(text)], text) }, '']],
      ['quoted', (text) => [{ text: JSON.stringify({ api_key: text }) }, '']],
    ];

    it.each(places)('removes it %s', (__, place) => {
      const { logger, lines } = setUp();
      logger.error(...place(secret));
      expect(lines).toHaveLength(1);
      expect(lines[0]).not.toContain(secret);
      expect(lines[0]).not.toContain(encodeURIComponent(secret));
      expect(lines[0]).toContain('[redacted]');
    });
  });

  it('hides values by their names, whatever they look like', () => {
    const { logger, last } = setUp();
    logger.info(
      { password: 'hunter2', apiKey: ['a'], set: { 'Set-Cookie': 'b', client_secret: 'c' } },
      'password=hunter2',
    );
    expect(last()).toMatchObject({
      password: '[redacted]',
      apiKey: '[redacted]',
      set: { 'Set-Cookie': '[redacted]', client_secret: '[redacted]' },
      msg: 'password=[redacted]',
    });
  });

  it('writes of an error what helps, and none of the request or response it carries', () => {
    const { logger, lines, last } = setUp();
    const vendor = Object.assign(new Error('refused'), {
      status: 429,
      requestBody: 'what the visitor asked',
      response: { body: 'what the model said' },
      config: { headers: {} },
    });
    const error = new AppError('provider_rate_limited', 'Busy.', { retryable: true, cause: vendor });
    logger.error({ error }, 'failed');
    expect(last()).toMatchObject({
      error: {
        type: 'AppError',
        code: 'provider_rate_limited',
        retryable: true,
        message: 'Busy.',
        cause: { type: 'Error', message: 'refused', status: 429 },
      },
    });
    expect(lines[0]).toContain('logger.test.ts');
    for (const part of ['visitor asked', 'model said', 'config']) expect(lines[0]).not.toContain(part);
  });

  it('bounds what one line can hold', () => {
    const { logger, lines, last } = setUp();
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    let deep: unknown = 'bottom';
    for (let level = 0; level < 50; level += 1) deep = { deep };
    const long = 'sk-'.repeat(1_000_000);
    logger.info({ circular, deep, long, many: new Array(10_000).fill(1), bytes: new Uint8Array(1e6), big: 1n }, long);
    expect(lines[0]?.length).toBeLessThan(50_000);
    expect(last()).toMatchObject({ circular: { self: '[circular]' }, bytes: '[1000000 bytes]', big: '1' });
  });

  it('never lets a secret through, wherever it lies among other things', () => {
    const secret = fc.constantFrom(...Object.values(SECRETS));
    const around = fc.constantFrom('', ' ', '"', '(', '\n', '=', ':', ' / ', '{"a":"', 'é', '[redacted]');
    const text = fc.tuple(around, secret, around).map((parts) => parts.join(''));
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 5 },
        text,
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(fc.string({ maxLength: 5 }), tie('tree'), { maxKeys: 3 }),
        text.map((message) => new Error(message)),
      ),
    }));
    fc.assert(
      fc.property(tree, text, (value, message) => {
        const { logger, lines } = setUp();
        logger.info({ value }, message);
        for (const hidden of Object.values(SECRETS)) expect(lines[0]).not.toContain(hidden);
      }),
      { numRuns: 300 },
    );
  });
});
