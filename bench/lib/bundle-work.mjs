// Bots that are imported from one bundle, exported and deleted again.
import { gunzipSync } from 'node:zlib';
import { ABSENT, changing, createSlot, isPresent } from './work-slots.mjs';

/** `bundle` is an export with what it must become: `{bytes, version}`. */
export function createBundleWork({ random, bots, bundle, counts, broken }) {
  const slots = Array.from({ length: bots }, (_, number) => createSlot(`copy-${number}`));
  let importing = 0;

  async function operate(client, botPath) {
    const slot = slots[Math.floor(random() * slots.length)];
    if (random() < 0.15) return exportBot(client, botPath);
    if (slot.possible.includes(ABSENT)) {
      // What a cut import has left, if anything, must be whole; it makes room for the next.
      if (slot.possible.length > 1) return remove(client, slot);
      importing += 1;
      try {
        const { bytes, version } = bundle;
        await changing(slot, version, () => client.upload(`/v1/bots/import?slug=${slot.key}&name=Copy`, bytes));
      } finally {
        importing -= 1;
      }
    } else await remove(client, slot);
    counts.acknowledged += 1;
  }

  async function remove(client, slot) {
    await changing(slot, ABSENT, () =>
      client.delete(`/v1/bots/${slot.key}`).catch((error) => {
        if (error.status !== 404 || isPresent(slot)) throw error;
      }),
    );
  }

  async function exportBot(client, botPath) {
    const bytes = await client.download(`${botPath}/export`);
    const lines = gunzipSync(bytes).toString().trim().split('\n');
    if (JSON.parse(lines.at(-1)).record !== 'end') broken('an export has no end');
    counts.exports += 1;
  }

  return { name: 'bundles', slots, operate, isImporting: () => importing > 0 };
}
