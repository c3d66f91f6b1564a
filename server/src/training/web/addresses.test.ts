import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressKey, cleanAddress, mayBePage, siteOf } from './page-address.ts';
import { fileNameOf } from './page-names.ts';
import { readDirectives, scanPage } from './page-scan.ts';
import { scanSitemap } from './sitemap-scan.ts';
import { createUrlFilter } from './url-patterns.ts';

const url = fc.webUrl({ withQueryParameters: true, withFragments: true });
const keyOf = (text: string): string => addressKey(new URL(text));

describe('an address', () => {
  it.each([
    ['https://a.example/x#part', 'https://a.example/x'],
    ['https://A.EXAMPLE:443/x', 'https://a.example/x'],
    ['https://a.example/x?utm_source=y&b=2&gclid=1&fbclid', 'https://a.example/x?b=2'],
    ['https://a.example/x?', 'https://a.example/x'],
    ['https://a.example/docs/index.html?a=1', 'https://a.example/docs/?a=1'],
    ['https://a.example/%7euser/%c3%a9', 'https://a.example/~user/%C3%A9'],
    ['https://a.example/a/./b/../c', 'https://a.example/a/c'],
    ['https://a.example/x/', 'https://a.example/x/'],
    ['https://a.example/x', 'https://a.example/x'],
    ['https://a.example/?b=2&a=1', 'https://a.example/?b=2&a=1'],
  ])('%s is known as %s', (address, key) => {
    expect(keyOf(address)).toBe(key);
  });

  it('has one key, which is its own key, on the same host; fragments and tracking do not change it', () => {
    fc.assert(
      fc.property(
        url,
        fc.webFragments(),
        fc.constantFrom('utm_source=x', 'gclid=1', '_ga=2.1'),
        (address, part, tracking) => {
          const key = keyOf(address);
          expect(keyOf(key)).toBe(key);
          expect(new URL(key).host).toBe(new URL(address).host);
          const changed = new URL(address);
          changed.hash = part;
          changed.search = changed.search === '' ? tracking : `${changed.search}&${tracking}`;
          expect(keyOf(changed.href)).toBe(key);
          expect(keyOf(cleanAddress(new URL(address)))).toBe(key);
        },
      ),
    );
  });

  it('belongs to the same site with and without www, by http and https', () => {
    const sites = ['https://a.example/', 'http://www.a.example/x', 'https://a.example.:443/'].map((one) =>
      siteOf(new URL(one)),
    );
    expect(new Set(sites).size).toBe(1);
    for (const other of ['https://b.a.example/', 'https://a.example:8443/', 'https://a.example.com/']) {
      expect(siteOf(new URL(other))).not.toBe(sites[0]);
    }
  });

  it('tells pages from pictures and programs by its name', () => {
    for (const page of ['/', '/a.html', '/a.php', '/a.pdf', '/v1.2', '/a.com', '/jpg']) {
      expect(mayBePage(new URL(page, 'https://a.example'))).toBe(true);
    }
    for (const other of ['/a.png', '/a.JPG', '/app.js', '/a.tar.gz', '/a.mp4']) {
      expect(mayBePage(new URL(other, 'https://a.example'))).toBe(false);
    }
    expect(mayBePage(new URL('mailto:a@b.example'))).toBe(false);
  });

  it.each([
    ['https://a.example/', 'text/html', 'a.example.html'],
    ['https://a.example/guide.php?x=1', 'text/html; charset=utf-8', 'guide.html'],
    ['https://a.example/notes.com', 'text/markdown', 'notes.md'],
    ['https://a.example/read.md', 'text/plain', 'read.md'],
    ['https://a.example/LICENSE', 'text/plain', 'LICENSE.txt'],
    ['https://a.example/a%20b/m%C3%BC.pdf', 'application/pdf', 'mü.pdf'],
    ['https://a.example/%E0%A4%A', 'text/html', '%E0%A4%A.html'],
    ['https://a.example/x.bin', '', 'x.bin'],
  ])('%s as %s is the file %s', (address, mediaType, name) => {
    expect(fileNameOf(address, mediaType)).toBe(name);
  });
});

describe('patterns', () => {
  const wants = (include: readonly string[], exclude: readonly string[], path: string): boolean =>
    createUrlFilter({ include, exclude })(new URL(path, 'https://a.example'));

  it.each([
    { include: ['/docs'], exclude: [], path: '/docs', expected: true },
    { include: ['/docs'], exclude: [], path: '/docs/a/b', expected: true },
    { include: ['/docs/'], exclude: [], path: '/docs/a', expected: true },
    { include: ['/docs'], exclude: [], path: '/documents', expected: false },
    { include: ['docs'], exclude: [], path: '/docs/a', expected: true },
    { include: ['/docs/*/guide'], exclude: [], path: '/docs/a/b/guide', expected: true },
    { include: ['/docs/*/guide'], exclude: [], path: '/docs/a/guide/x', expected: false },
    { include: ['*.html'], exclude: [], path: '/a/b.html', expected: true },
    { include: ['*.html'], exclude: [], path: '/a/b.html?x=1', expected: true },
    { include: ['/*?lang=en*'], exclude: [], path: '/a?lang=en&b', expected: true },
    { include: ['/*?lang=en*'], exclude: [], path: '/a?lang=de', expected: false },
    { include: ['https://a.example/docs'], exclude: [], path: '/docs/x', expected: true },
    { include: ['http://a.example/docs'], exclude: [], path: '/docs/x', expected: false },
    { include: [], exclude: ['/private'], path: '/private/x', expected: false },
    { include: [], exclude: ['/private'], path: '/public', expected: true },
    { include: ['/docs'], exclude: ['*/old/*'], path: '/docs/old/x', expected: false },
    { include: ['/a*a'], exclude: [], path: '/a', expected: false },
    { include: ['/a*a'], exclude: [], path: '/aa', expected: true },
    { include: ['*'], exclude: [], path: '/', expected: true },
    { include: ['/A'], exclude: [], path: '/a', expected: false },
  ])('$include without $exclude: $path is $expected', ({ include, exclude, path, expected }) => {
    expect(wants(include, exclude, path)).toBe(expected);
  });

  it('mean the same as regular expressions, in linear time', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 12 });
    fc.assert(
      fc.property(fc.array(text, { minLength: 2, maxLength: 5 }), text, (pieces, path) => {
        const address = new URL(`https://a.example/${path}`);
        const pattern = `/${pieces.join('*')}`;
        const expression = new RegExp(`^${pattern.replaceAll('*', '.*')}$`);
        const filter = createUrlFilter({ include: [pattern], exclude: [] });
        expect(filter(address)).toBe(expression.test(address.pathname));
      }),
    );
    const startedAt = performance.now();
    expect(wants([`/${'a*'.repeat(240)}b`], [], `/${'a'.repeat(2_000)}`)).toBe(false);
    expect(performance.now() - startedAt).toBeLessThan(200);
  });
});

describe('a page', () => {
  it('tells its links, its canonical address and whether it wants to be indexed and followed', () => {
    const page = scanPage(
      `<html><head><base href="/docs/"><link rel="canonical" href="tea"><meta name="Robots" content="NOINDEX,nofollow"></head>
       <body><a href="a&amp;b?x=1#y">1</a><a href="a&amp;b?x=1">2</a><a rel="ugc nofollow" href="no">3</a><a href="mailto:x@y.example">4</a>
       <a href="https://user:secret@a.example/">5</a><a href="">6</a><a>7</a><area href="//b.example/z"><!-- <a href="hidden"> --></body></html>`,
      'https://a.example/x/y',
    );
    expect(page).toEqual({
      canonical: 'https://a.example/docs/tea',
      noindex: true,
      nofollow: true,
      links: ['https://a.example/docs/a&b?x=1', 'https://b.example/z'],
    });
  });

  it('can be anything', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), (html) => {
        expect(scanPage(html, 'https://a.example/').links.every((link) => link.startsWith('http'))).toBe(true);
      }),
    );
  });

  it.each([
    ['noindex', true, false],
    ['none', true, true],
    ['index, follow', false, false],
    ['otherbot: noindex', false, false],
    ['otherbot: noindex, nofollow', false, false],
    ['otherbot: nofollow, chatspherebot: noindex', true, false],
    ['unavailable_after: 25 Jun 2030 15:00:00 PST, noindex', true, false],
    ['max-snippet:20, nofollow', false, true],
    ['', false, false],
  ])('with the directives "%s" wants noindex %s, nofollow %s', (text, noindex, nofollow) => {
    expect(readDirectives(text)).toEqual({ noindex, nofollow });
  });
});

describe('a sitemap', () => {
  async function* pieces(text: string, size = 7): AsyncGenerator<string> {
    for (let start = 0; start < text.length; start += size) yield text.slice(start, start + size);
  }

  it('is read with its name spaces, escapes, character data and dates, and what else stands there is skipped', async () => {
    const xml = `\uFEFF  <?xml version="1.0" encoding="UTF-8"?>
      <s:urlset xmlns:s="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://x.example">
        <s:url><s:loc> https://a.example/?a=1&amp;b=2 </s:loc><s:lastmod>2026-01-02</s:lastmod>
          <image:image><image:loc>https://a.example/picture.png</image:loc></image:image></s:url>
        <s:url><s:loc><![CDATA[https://a.example/c]]></s:loc></s:url><s:url><s:loc></s:loc></s:url>
      </s:urlset>`;
    expect(await scanSitemap(pieces(xml))).toEqual({
      sitemaps: [],
      pages: [
        { url: 'https://a.example/?a=1&b=2', lastmod: '2026-01-02' },
        { url: 'https://a.example/c', lastmod: null },
      ],
    });
  });

  it('may be a list, and may break off', async () => {
    const list = await scanSitemap(pieces('https://a.example/1\r\nnot an address\nhttps://a.example/2'));
    expect(list.pages.map((page) => page.url)).toEqual(['https://a.example/1', 'https://a.example/2']);
    const cut = await scanSitemap(pieces('<urlset><url><loc>https://a.example/1</loc></url><url><loc>https://a.ex'));
    expect(cut.pages.map((page) => page.url)).toEqual(['https://a.example/1']);
  });

  it.each([
    '',
    '   ',
    '<html><p>No</p></html>',
    'nothing',
    '<!DOCTYPE a [<!ENTITY b "c">]><urlset><url><loc>https://a.example/</loc></url></urlset>',
  ])('is refused when it is %j', async (text) => {
    await expect(scanSitemap(pieces(text))).rejects.toMatchObject({ code: 'parse_failed' });
  });
});
