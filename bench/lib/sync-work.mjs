// A folder that changes and is brought into line by sync runs: manifest, uploads, commit, prune.
import { createHash } from 'node:crypto';
import { FORMAT_NAMES, formOf } from './work-content.mjs';
import { ABSENT, changing, createSlot, settle } from './work-slots.mjs';

const PREFIX = 'sync/';

export function createSyncWork({ random, keys, content, counts }) {
  const formatOf = (number) => FORMAT_NAMES[number % FORMAT_NAMES.length];
  const slots = Array.from({ length: keys }, (_, number) => createSlot(`${PREFIX}${number}.${formatOf(number)}`));
  /** What the folder holds: `{version, bytes}` by key. */
  const folder = new Map();
  /** A run whose commit was cut off. */
  let cut = null;

  function edit() {
    for (const { key } of slots) {
      const dice = random();
      if (dice < 0.25) folder.set(key, content.file(key.split('.').at(-1)));
      else if (dice < 0.35) folder.delete(key);
    }
  }

  async function operate(client, botPath) {
    const runs = `${botPath}/sync_runs`;
    if (cut !== null && random() < 0.5) return commit(client, runs, cut);
    cut = null;
    edit();
    const manifest = [...folder].map(([key, { bytes }]) => ({ external_key: key, content_hash: sha256(bytes) }));
    const run = await client.post(runs, { manifest, prune: true, prefix: PREFIX });
    const asked = new Set(run.plan.upload);
    for (const slot of slots) if (folder.has(slot.key) && !asked.has(slot.key)) settle(slot, versionOf(slot));
    const toUpload = slots.filter(({ key }) => asked.has(key));
    const half = Math.ceil(toUpload.length / 2);
    await upload(client, `${runs}/${run.id}/sources`, toUpload.slice(0, half));
    for (const slot of toUpload.slice(half)) {
      const form = formOf([[slot.key.slice(PREFIX.length), folder.get(slot.key).bytes]]);
      await changing(slot, versionOf(slot), () =>
        client.request('PUT', `${botPath}/sources/by-key/${encodeURIComponent(slot.key)}`, { form }),
      );
    }
    await commit(client, runs, run);
  }

  /** Uploads many files in one form: each is acknowledged by itself, in the answer. */
  async function upload(client, path, group) {
    if (group.length === 0) return;
    const before = new Map(group.map((slot) => [slot, slot.possible]));
    for (const slot of group) slot.possible = [...new Set([...slot.possible, versionOf(slot)])];
    const form = formOf(group.map(({ key }) => [key, folder.get(key).bytes]));
    const answer = await client.request('POST', path, { form });
    for (const outcome of answer.data) {
      const slot = group.find(({ key }) => key === outcome.external_key);
      if (outcome.error) slot.possible = before.get(slot);
      else settle(slot, versionOf(slot));
      if (outcome.error) counts.lastRefusal = `${slot.key}: ${outcome.error.code} ${outcome.error.message}`;
    }
    counts.acknowledged += answer.data.length;
  }

  async function commit(client, runs, run) {
    cut = run;
    const gone = slots.filter(({ key }) => run.plan.delete.includes(key));
    for (const slot of gone) slot.possible = [...new Set([...slot.possible, ABSENT])];
    await client.post(`${runs}/${run.id}/commit`);
    for (const slot of gone) settle(slot, ABSENT);
    counts.commits += 1;
    cut = null;
  }

  function versionOf({ key }) {
    return folder.get(key).version;
  }

  return { name: 'sync runs', slots, operate };
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}
