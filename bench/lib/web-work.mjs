// Small web sites on loopback that change, and sources of the web that follow them.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { sleep } from './server.mjs';
import { ABSENT, changing, createSlot, isPresent } from './work-slots.mjs';

const TYPES = ['crawl', 'sitemap', 'url', 'crawl'];
const MOST_PAGES = 6;
/** Long enough to be killed in, short enough not to be waited for. */
const LONGEST_ANSWER_MS = 60;

/**
 * Each source has a site of its own: hosts are called with pauses. A site's state is known only once a sync was
 * acknowledged after its last change; `syncAll` brings the others to that.
 */
export async function createWebWork({ random, content, counts }) {
  const sites = await Promise.all(TYPES.map((type) => createSite(type, { random, content })));
  const slots = sites.map((site, number) => Object.assign(createSlot(`web-${number}`), { site, isSynced: false }));
  let next = 0;

  async function operate(client, botPath) {
    next = (next + 1) % slots.length;
    const slot = slots[next];
    if (isPresent(slot) && random() < 0.1) {
      slot.isSynced = false;
      await changing(slot, ABSENT, () => client.delete(`${botPath}/sources/${slot.id}`));
      // What was deleted must not be found again, so the site gets other words.
      slot.site.renew();
    } else if (isPresent(slot) && slot.isSynced) {
      slot.isSynced = false;
      slot.old.push(...slot.site.change());
      await sync(client, botPath, slot);
    } else {
      await put(client, botPath, slot);
      await sync(client, botPath, slot);
    }
    counts.acknowledged += 1;
    await sleep(random() * 200);
  }

  /** The version is a view of the site: it is what the site is now. */
  async function put(client, botPath, slot) {
    const json = { type: slot.site.type, url: slot.site.url };
    const path = `${botPath}/sources/by-key/${slot.key}`;
    const source = await changing(slot, slot.site.version, () => client.request('PUT', path, { json }));
    slot.id = source.id;
  }

  async function sync(client, botPath, slot) {
    await client.post(`${botPath}/sources/${slot.id}/sync`);
    slot.possible = [slot.site.version];
    slot.isSynced = true;
  }

  /** Asks for all sources whose last sync was cut off. `sourceOf` finds the source of a key. */
  async function syncAll(client, botPath, sourceOf) {
    for (const slot of slots) {
      const source = sourceOf(slot.key);
      if (slot.isSynced || source === undefined) continue;
      if (!slot.possible.includes(slot.site.version)) continue;
      slot.id = source.id;
      await sync(client, botPath, slot);
    }
  }

  async function close() {
    for (const site of sites) await site.close();
  }

  return { name: 'web sources', slots, operate, syncAll, close };
}

async function createSite(type, { random, content }) {
  const pages = new Map();
  const version = {
    get markers() {
      return [...pages.values()].flat();
    },
    get documents() {
      return pages.size;
    },
  };
  const isSingle = type === 'url';
  let named = 0;

  function addPage(path) {
    pages.set(path, content.markers(2));
  }

  function addNewPage() {
    named += 1;
    addPage(`/page-${named}`);
  }

  /** Changes, adds and removes pages; gives the words that are gone. */
  function change() {
    const gone = [];
    for (const [path, words] of [...pages]) {
      const dice = random();
      if (dice < 0.4) addPage(path);
      else if (dice < 0.55 && path !== '/' && pages.size > 2) pages.delete(path);
      else continue;
      gone.push(...words);
    }
    if (!isSingle && pages.size < MOST_PAGES && random() < 0.6) addNewPage();
    return gone;
  }

  function pageOf(path) {
    const [first, last] = pages.get(path);
    const links = [...pages.keys()].map((to) => `<a href="${to}">${to}</a>`).join(' ');
    return `<html><head><title>Page ${path}</title></head><body><nav>${links}</nav><main><h1>Page</h1><p>${first} is the word of this page, which says some more about it.</p><p>It ends with ${last}.</p></main></body></html>`;
  }

  const server = createServer(async (request, response) => {
    await sleep(random() * LONGEST_ANSWER_MS);
    const origin = `http://${request.headers.host}`;
    if (request.url === '/sitemap.xml') {
      const list = [...pages.keys()].map((path) => `<url><loc>${origin}${path}</loc></url>`).join('');
      const xml = `<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">${list}</urlset>`;
      response.writeHead(200, { 'content-type': 'application/xml' }).end(xml);
    } else if (pages.has(request.url)) {
      const body = pageOf(request.url);
      const etag = `"${createHash('sha256').update(body).digest('hex').slice(0, 16)}"`;
      if (request.headers['if-none-match'] === etag) response.writeHead(304).end();
      else response.writeHead(200, { 'content-type': 'text/html', etag }).end(body);
    } else response.writeHead(404).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  addPage('/');
  for (let extra = 0; !isSingle && extra < 3; extra += 1) addNewPage();
  return {
    type,
    url: `http://127.0.0.1:${server.address().port}${type === 'sitemap' ? '/sitemap.xml' : '/'}`,
    version,
    change,
    renew: () => [...pages.keys()].forEach(addPage),
    close: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
