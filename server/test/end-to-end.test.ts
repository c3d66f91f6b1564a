import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN_KEY, type BuiltServer, callServer, jobEnded, runBuiltCli, startBuiltServer } from './built-server.ts';

describe('the built server and command line', () => {
  let folder = '';
  let server: BuiltServer;
  let env: Record<string, string> = {};
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chatsphere-e2e-'));
    await mkdir(join(folder, 'docs/more'), { recursive: true });
    await writeFile(
      join(folder, 'docs/tea.md'),
      '---\ntitle: Tea\n---\n# Green tea\n\nGreen tea is steeped at 75 degrees for two minutes.\n',
    );
    await writeFile(
      join(folder, 'docs/more/coffee.html'),
      '<html><head><title>Coffee</title></head><body><nav>Home</nav><main><h1>Coffee</h1><p>Filter coffee is brewed at 93 degrees for four minutes, with sixty grams of coffee for each litre of water.</p></main></body></html>',
    );
    await writeFile(join(folder, 'docs/empty.md'), '---\ntitle: Nothing\n---\n');
    await writeFile(join(folder, 'docs/picture.png'), Buffer.from([0x89, 0x50, 0x4e, 0x47]));
    server = await startBuiltServer({ dataFolder: join(folder, 'data') });
    env = { CHATSPHERE_DATA_DIR: join(folder, 'data') };
  });
  afterAll(async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('trains a folder, tells what failed, and does no work the second time', async () => {
    expect((await runBuiltCli(['bots', 'create', 'Drinks'], { env })).stdout.trim()).toBe('drinks');
    const first = await runBuiltCli(['train', join(folder, 'docs'), '--bot', 'drinks'], { env });
    expect(first.stderr).toContain('empty.md');
    expect(first.stderr).toContain('empty_content');
    expect(first.stdout).toContain('2 ready, 1 failed');
    expect(first.code).toBe(6);
    const again = await runBuiltCli(['train', join(folder, 'docs'), '--bot', 'drinks', '--json'], { env });
    const events = again.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events.at(-1)).toMatchObject({ event: 'done', ready: 2, failed: 1 });
  });

  it('deletes what is gone from the folder, and follows a file that was renamed', async () => {
    const pages = join(folder, 'pages');
    await mkdir(pages);
    await writeFile(join(pages, 'oolong.md'), '# Oolong\n\nOolong is rinsed with a quixotry ladle.\n');
    await writeFile(join(pages, 'mate.md'), '# Mate\n\nMate is drunk from a calabash gourd.\n');
    await runBuiltCli(['bots', 'create', 'Pages'], { env });
    const train = async (...more: string[]) => {
      const { code, stdout } = await runBuiltCli(['train', pages, '--bot', 'pages', '--json', ...more], { env });
      const events = stdout.trim().split('\n');
      return { code, events: events.map((line) => JSON.parse(line)), done: JSON.parse(events.at(-1) ?? '') };
    };
    expect((await train()).done).toMatchObject({ ready: 2, unchanged: 0 });
    await rm(join(pages, 'oolong.md'));
    await rename(join(pages, 'mate.md'), join(pages, 'yerba.md'));
    expect((await train('--dry-run', '--prune')).done).toMatchObject({
      event: 'plan',
      upload_keys: ['yerba.md'],
      delete_keys: expect.arrayContaining(['mate.md', 'oolong.md']),
    });
    const pruned = await train('--prune', '--yes');
    expect(pruned.done).toMatchObject({ ready: 1, deleted: 2, failed: 0 });
    expect(pruned.events.find(({ event }) => event === 'deleted').receipt).toMatchObject({ sources: 2, documents: 2 });
    expect((await train('--prune')).done).toMatchObject({ ready: 1, unchanged: 1, deleted: 0 });
    const search = await callServer(server, {
      path: '/v1/bots/pages/search',
      json: { query: 'quixotry ladle calabash' },
    });
    const found = search.body['data'] as { external_key: string }[];
    expect(found.map((hit) => hit.external_key)).toEqual(['yerba.md']);
    const { body } = await callServer(server, { path: '/v1/bots/pages/sources' });
    // The new name took over the vectors of the old one.
    expect(body['data']).toMatchObject([{ external_key: 'yerba.md', counts: { chunks: 1, reused: 1 } }]);
  });

  it('asks with checked citations, in text and JSON', async () => {
    const text = await runBuiltCli(['ask', 'At what temperature is green tea steeped?', '--bot', 'drinks'], { env });
    expect(text.code).toBe(0);
    expect(text.stdout).toContain('75 degrees');
    expect(text.stdout).toContain('tea.md');
    const json = JSON.parse(
      (await runBuiltCli(['ask', 'How is filter coffee brewed?', '--bot', 'drinks', '--json'], { env })).stdout,
    );
    expect(json.grounded).toBe(true);
    expect(json.citations[0].external_key).toBe('more/coffee.html');
    const document = await callServer(server, { path: `/v1/documents/${json.citations[0].document_id}` });
    expect(String(document.body['text']).slice(json.citations[0].start, json.citations[0].end)).toBe(
      json.citations[0].quote,
    );
  });

  it('declines what the content does not tell', async () => {
    const json = JSON.parse(
      (await runBuiltCli(['ask', 'Who is the president of Iceland?', '--bot', 'drinks', '--json'], { env })).stdout,
    );
    expect(json.grounded).toBe(false);
    expect(json.citations).toEqual([]);
  });

  it('stops answering from a source with the response that deletes it', async () => {
    const { body } = await callServer(server, {
      path: '/v1/bots/drinks/sources',
      json: { type: 'text', title: 'Cocoa', content: 'Cocoa is stirred with a wooden zorblax spoon.' },
    });
    await jobEnded(server, String(body['job_id']));
    const search = () => callServer(server, { path: '/v1/bots/drinks/search', json: { query: 'zorblax spoon' } });
    expect(JSON.stringify((await search()).body)).toContain('zorblax spoon.');
    expect(
      (await callServer(server, { method: 'DELETE', path: `/v1/bots/drinks/sources/${String(body['id'])}` })).body,
    ).toMatchObject({ deleted: true });
    expect(JSON.stringify((await search()).body['data'])).not.toContain('zorblax');
  });

  it('answers a form that ends in mid-file', async () => {
    const response = await fetch(`${server.url}/v1/bots/drinks/sources`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'multipart/form-data; boundary=X' },
      body: '--X\r\ncontent-disposition: form-data; name="file"; filename="a.md"\r\n\r\nhello',
    });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain('The form is damaged');
  });

  it('refuses a bot with a model that the server cannot call', async () => {
    const bot = { name: 'Impossible', model: 'acme/llm' };
    expect((await callServer(server, { path: '/v1/bots', json: bot })).body).toMatchObject({
      error: { code: 'model_not_found', param: 'model' },
    });
  });

  it('ends an empty answer that a stop sequence cut, without an error', async () => {
    const request = {
      model: 'drinks',
      stop: 'Green',
      messages: [{ role: 'user', content: 'How is green tea steeped?' }],
    };
    const { status, body } = await callServer(server, { path: '/v1/chat/completions', json: request });
    expect(status).toBe(200);
    expect(JSON.stringify(body)).toContain('"finish_reason":"stop"');
  });

  it('remembers a conversation from piped lines', async () => {
    const chat = await runBuiltCli(['chat', '--bot', 'drinks', '--json'], {
      env,
      input: 'How hot should green tea be steeped?\nAnd for how long?\n',
    });
    const answers = chat.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(answers).toHaveLength(2);
    expect(answers[1].conversation).toBe(answers[0].conversation);
    expect(answers[1].answer).toContain('two minutes');
  });

  it.each([
    [['train', '/nowhere', '--bot', 'drinks'], 3, 'no file or folder'],
    [['ask', 'x', '--bot', 'nobody'], 3, 'no such bot'],
    [['ask', 'x'], 2, '--bot is missing'],
    [['frobnicate'], 2, 'no command'],
    [['bots', '--frob'], 2, '--frob'],
    [['bots', '--server', 'http://127.0.0.1:1', '--key', 'k'], 5, 'cannot be reached'],
    [['bots', 'delete', 'drinks'], 2, '--yes'],
  ])('%j ends with exit code %i', async (args, code, message) => {
    const result = await runBuiltCli(args, { env });
    expect(result.stderr).toContain(message);
    expect(result.stdout).toBe('');
    expect(result.code).toBe(code);
  });

  it('refuses a wrong key with exit code 4', async () => {
    expect((await runBuiltCli(['bots', '--server', server.url, '--key', 'cs_live_wrong'], { env })).code).toBe(4);
  });

  it('explains itself', async () => {
    const help = await runBuiltCli(['--help']);
    for (const command of ['serve', 'train', 'ask', 'chat', 'search', 'bots', 'sources', 'keys', 'doctor']) {
      expect(help.stdout).toContain(command);
      expect((await runBuiltCli([command, '--help'])).stdout).toContain(`chatsphere ${command}`);
    }
    expect((await runBuiltCli(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it('doctor finds the running server', async () => {
    const doctor = await runBuiltCli(['doctor', '--json'], { env });
    expect(doctor.stdout).toContain(server.url);
    expect(doctor.code).toBe(0);
  });

  it('refuses a second server on the same data folder', async () => {
    const second = await runBuiltCli(['serve', '--port', '0'], { env });
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(String(server.child.pid));
  });
});

describe('the first start', () => {
  it('prints an admin key that works, makes the demo bot, and works in-process without a server', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'chatsphere-first-'));
    try {
      const env = { CHATSPHERE_DATA_DIR: folder };
      const ask = await runBuiltCli(['ask', 'What happens when I delete a source?', '--bot', 'demo', '--json'], {
        env,
      });
      expect(ask.stderr).toBe(
        `There was no installation in ${folder}: a new one was made there (--data-dir names another folder).\n`,
      );
      expect(JSON.parse(ask.stdout)).toMatchObject({ grounded: true });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe('kill -9 in the midst of mixed work', () => {
  it('loses, doubles, strands and brings back nothing', async () => {
    const script = fileURLToPath(new URL('../../bench/kill.mjs', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [
      script,
      '--kills',
      '5',
      '--keys',
      '20',
      '--seed',
      '7',
    ]);
    expect(JSON.parse(stdout)).toMatchObject({
      kills: 5,
      lost: 0,
      doubled: 0,
      unfinished: 0,
      resurrected: 0,
      failed: 0,
    });
  }, 300_000);
});
