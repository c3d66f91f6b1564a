// Index generations that are asked for, rolled back and stopped while content changes.
import { sleep } from './server.mjs';

const STATIC = { type: 'static', static: { max_chunk_size_tokens: 200, chunk_overlap_tokens: 0 } };

/** `cutPath` is a bot that is cut in other ways, `embedPath` one (small) that gets other embedders. */
export function createGenerationWork({ random, cutPath, embedPath, counts }) {
  const pick = (list) => list[Math.floor(random() * list.length)];

  async function operate(client) {
    const dice = random();
    if (dice < 0.45) await request(client, cutPath, { chunking_strategy: pick([{ type: 'auto' }, STATIC]) });
    else if (dice < 0.75) await request(client, embedPath, { embedding_model: pick(EMBEDDERS) });
    else if (dice < 0.9) await ifUsable(() => client.post(`${pick([cutPath, embedPath])}/generations/rollback`));
    else await stopOne(client, pick([cutPath, embedPath]));
    await sleep(random() * 150);
  }

  async function request(client, path, wanted) {
    await ifUsable(() => client.post(`${path}/generations`, { ...wanted, activate: 'when_ready' }));
  }

  async function stopOne(client, path) {
    const { data } = await client.get(`${path}/generations?limit=100`);
    const [building] = data.filter(({ state }) => state === 'building');
    if (building !== undefined) await ifUsable(() => client.delete(`${path}/generations/${building.id}`));
  }

  /** Another may be under way, or the wish may be fulfilled already. */
  async function ifUsable(ask) {
    try {
      await ask();
      counts.generations += 1;
    } catch (error) {
      if (error.status !== 404 && error.status !== 409) throw error;
    }
  }

  return { name: 'generations', slots: [], operate };
}

const EMBEDDERS = ['local/static-en', 'local/use-lite'];
