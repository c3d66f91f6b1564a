// Random work on one bot: content of every kind put by key, deleted, synced, cancelled and tried again.
import { ABSENT, changing, createSlot, isPresent } from './work-slots.mjs';

/**
 * Workers that share keys. `resurrected` is told of words that are found right after their deletion was acknowledged.
 */
export function createKeyWork({ random, keys, content, counts, resurrected }) {
  const slots = Array.from({ length: keys }, (_, number) => createSlot(`key-${number}`));
  const busy = new Set();

  function pickFree() {
    for (;;) {
      const slot = slots[Math.floor(random() * slots.length)];
      if (!busy.has(slot)) return slot;
    }
  }

  async function operate(client, botPath) {
    const slot = pickFree();
    busy.add(slot);
    try {
      const dice = random();
      if (isPresent(slot) && dice < 0.1) await remove(client, botPath, slot);
      else if (isPresent(slot) && dice < 0.18) await client.post(`${botPath}/sources/${slot.id}/sync`);
      else if (isPresent(slot) && dice < 0.3) await cancel(client, slot);
      else await put(client, botPath, slot);
      counts.acknowledged += 1;
    } finally {
      busy.delete(slot);
    }
  }

  async function put(client, botPath, slot) {
    const { version, body } = content.any();
    const source = await changing(slot, version, () =>
      client.request('PUT', `${botPath}/sources/by-key/${slot.key}`, body),
    );
    Object.assign(slot, { id: source.id, jobId: source.job_id, isCancelled: false });
  }

  async function remove(client, botPath, slot) {
    const [{ markers }] = slot.possible;
    await changing(slot, ABSENT, () => client.delete(`${botPath}/sources/${slot.id}`));
    slot.isCancelled = false;
    const page = await client.post(`${botPath}/search`, { query: markers[0], max_num_results: 5 });
    if (page.data.some((hit) => hit.text.includes(markers[0]))) resurrected(`${markers[0]} right after its deletion`);
  }

  /** Half of them are tried again at once, the others at the end or by new content. */
  async function cancel(client, slot) {
    const job = await client.get(`/v1/jobs/${slot.jobId}`);
    if (!['queued', 'running'].includes(job.status)) return;
    slot.isCancelled = true;
    await client.post(`/v1/jobs/${slot.jobId}/cancel`);
    counts.cancelled += 1;
    if (random() < 0.5) await client.post(`/v1/jobs/${slot.jobId}/retry`);
  }

  return { name: 'content by key', slots, operate };
}
