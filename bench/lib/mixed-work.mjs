// Random work on one bot, and what must be true of it afterwards. A key's `possible` holds every state that it may be in:
// one once the server has acknowledged it, more while a request was cut off.
import { zipOf } from './zip.mjs';

/** The state of a key that has no source. */
export const ABSENT = null;

/** Keys with their possible states; each state is a version: its markers, one a document. */
export function createMixedWork({ random, keys }) {
  const slots = Array.from({ length: keys }, (_, number) => ({
    key: `key-${number}`,
    possible: [ABSENT],
    id: null,
    busy: false,
    old: [],
  }));
  const counts = { acknowledged: 0, refused: 0 };
  let versions = 0;

  /** Runs random requests until the server is gone. */
  async function run(client, botPath, isKilled) {
    await Promise.all(
      Array.from({ length: 5 }, async () => {
        while (!isKilled()) {
          const slot = pickFree();
          slot.busy = true;
          try {
            await operate(client, botPath, slot);
          } catch (error) {
            if (error.status === undefined) return;
            counts.refused += 1;
            counts.lastRefusal = error.message;
          } finally {
            slot.busy = false;
          }
        }
      }),
    );
  }

  function pickFree() {
    for (;;) {
      const slot = slots[Math.floor(random() * slots.length)];
      if (!slot.busy) return slot;
    }
  }

  async function operate(client, botPath, slot) {
    const [state] = slot.possible;
    const sure = slot.possible.length === 1 && state !== ABSENT;
    const dice = random();
    if (sure && dice < 0.12) {
      slot.possible.push(ABSENT);
      await client.delete(`${botPath}/sources/${slot.id}`);
      settle(slot, ABSENT);
    } else if (sure && dice < 0.22) {
      await client.post(`${botPath}/sources/${slot.id}/sync`);
      counts.acknowledged += 1;
    } else {
      versions += 1;
      const { version, body } = makeVersion(versions, random);
      slot.possible.push(version);
      const source = await client.request('PUT', `${botPath}/sources/by-key/${slot.key}`, body);
      slot.id = source.id;
      settle(slot, version);
    }
  }

  function settle(slot, state) {
    counts.acknowledged += 1;
    for (const version of slot.possible) if (version !== state && version !== ABSENT) slot.old.push(...version.markers);
    slot.possible = [state];
  }

  return { slots, counts, run };
}

/** One of several kinds of content, each text with a word of its own. */
function makeVersion(number, random) {
  const marker = (part) => `zyx${number}p${part}word`;
  const kind = Math.floor(random() * 6);
  const files = (...list) => {
    const form = new FormData();
    for (const [name, content] of list) form.append('file', new Blob([content]), name);
    return { form };
  };
  switch (kind) {
    case 0:
    case 1:
      return {
        version: { markers: [marker(0)], documents: 1 },
        body: { json: { type: 'text', title: `Text ${number}`, content: markdown(marker(0), 3) } },
      };
    case 2: {
      const markers = [marker(0), marker(1), marker(2)];
      const html = `<html><title>Page</title><body><main><h1>Page</h1><p>${marker(1)} is the word of this page, which says more.</p></main></body></html>`;
      const table = `name,meaning\n${marker(2)},the word of this table\nother,another row\n`;
      return {
        version: { markers, documents: 3 },
        body: files(['a.md', markdown(marker(0), 2)], ['b.html', html], ['c.csv', table]),
      };
    }
    case 3: {
      const markers = [marker(0), marker(1)];
      const zip = zipOf([
        ['one.md', markdown(marker(0), 2)],
        ['folder/two.txt', `${marker(1)} is the word of this text. It says a little more.`],
      ]);
      return { version: { markers, documents: 2 }, body: files(['both.zip', zip]) };
    }
    case 4: {
      const items = [{ question: `What is ${marker(0)}?`, answer: 'A word that is nowhere else.' }];
      return { version: { markers: [marker(0)], documents: 1 }, body: { json: { type: 'qa', items } } };
    }
    default:
      return {
        version: { markers: [marker(0)], documents: 1 },
        body: files(['long.md', markdown(marker(0), 60)]),
      };
  }
}

function markdown(marker, sections) {
  const paragraph = (number) =>
    `Section ${number} of ${marker.length} has enough words to be cut into pieces and embedded by itself. `.repeat(12);
  const rest = Array.from({ length: sections }, (_, number) => `## Part ${number}\n\n${paragraph(number)}`).join(
    '\n\n',
  );
  return `# Document\n\nThe secret word is ${marker}.\n\n${rest}\n`;
}
