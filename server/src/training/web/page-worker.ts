import { createReadStream } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { AppError } from '../../kernel/index.ts';
import { serveWorkerCalls } from '../../resilience/index.ts';
import { decodeText } from '../loaders/text-encoding.ts';
import type { PageReaderRequest } from './page-reader.ts';
import { type PageScan, scanPage } from './page-scan.ts';
import { type SitemapScan, scanSitemap } from './sitemap-scan.ts';

/** Larger pages are read as documents, but their links are not looked for. */
const LARGEST_SCANNED_PAGE = 5_000_000;
/** The protocol allows 50 MB. */
const LARGEST_SITEMAP = 64 * 1024 ** 2;
const NOTHING: PageScan = { canonical: null, noindex: false, nofollow: false, links: [] };

serveWorkerCalls<PageReaderRequest, PageScan | SitemapScan>(async (request) => {
  if (request.type === 'sitemap') return scanSitemap(textOf(request.path));
  if ((await stat(request.path)).size > LARGEST_SCANNED_PAGE) return NOTHING;
  const bytes = await readFile(request.path);
  return scanPage(decodeText(bytes, { name: request.url, mediaType: request.mediaType }), request.url);
});

async function* textOf(path: string): AsyncGenerator<string> {
  const file = createReadStream(path);
  // Errors of either end reach whoever reads the other, and nothing stays open when reading stops early.
  const bytes = (await isGzip(path)) ? pipeline(file, createGunzip(), () => {}) : file;
  const decoder = new TextDecoder('utf-8');
  let size = 0;
  for await (const part of bytes) {
    size += part.length;
    if (size > LARGEST_SITEMAP) {
      throw new AppError('response_too_large', `The sitemap unpacks to more than ${LARGEST_SITEMAP} bytes.`);
    }
    yield decoder.decode(part, { stream: true });
  }
}

async function isGzip(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const head = new Uint8Array(2);
    await file.read(head, 0, 2, 0);
    return head[0] === 0x1f && head[1] === 0x8b;
  } finally {
    await file.close();
  }
}
