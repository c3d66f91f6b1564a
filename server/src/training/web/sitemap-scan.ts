import { SaxesParser } from 'saxes';
import { AppError } from '../../kernel/index.ts';

export interface SitemapEntry {
  readonly url: string;
  readonly lastmod: string | null;
}

export interface SitemapScan {
  /** Sitemaps that an index lists. */
  readonly sitemaps: readonly SitemapEntry[];
  readonly pages: readonly SitemapEntry[];
}

/** The protocol's own limit for one sitemap. */
const MOST_ENTRIES = 50_000;
const LONGEST_VALUE = 2_048;

/**
 * Reads a sitemap or a sitemap index (sitemaps.org), or a plain list of addresses. A document type, which could declare
 * entities, ends in an error; so does XML that is broken before its first entry, while what came before a later break is used.
 *
 * @throws AppError `parse_failed`.
 */
export async function scanSitemap(text: AsyncIterable<string>): Promise<SitemapScan> {
  const reader = createReader();
  let form: 'unknown' | 'xml' | 'list' = 'unknown';
  let pending = '';
  const lines: SitemapEntry[] = [];
  const addLine = (line: string): void => {
    const url = line.trim();
    if (/^https?:\/\//i.test(url) && lines.length < MOST_ENTRIES) lines.push({ url, lastmod: null });
  };
  for await (const piece of text) {
    let part = piece;
    if (form === 'unknown') {
      // The byte order mark counts as white space.
      const start = part.trimStart();
      if (start === '') continue;
      form = start.startsWith('<') ? 'xml' : 'list';
      part = start;
    }
    if (form === 'xml') {
      if (!reader.write(part)) break;
    } else {
      const rows = (pending + part).split(/\r?\n/);
      pending = (rows.pop() ?? '').slice(0, LONGEST_VALUE + 1);
      rows.forEach(addLine);
    }
  }
  addLine(pending);
  if (form === 'list' && lines.length > 0) return { sitemaps: [], pages: lines };
  const { sitemaps, pages, fault, refused } = reader.end();
  if (refused) throw new AppError('parse_failed', 'The sitemap has a document type, which sitemaps do not have.');
  if (sitemaps.length + pages.length > 0) return { sitemaps, pages };
  throw new AppError('parse_failed', `This is no sitemap that can be read${fault === null ? '' : ` (${fault})`}.`);
}

function createReader() {
  const parser = new SaxesParser({ xmlns: false });
  const sitemaps: SitemapEntry[] = [];
  const pages: SitemapEntry[] = [];
  let fault: string | null = null;
  let refused = false;
  let entry: { url: string; lastmod: string } | null = null;
  let field: 'url' | 'lastmod' | null = null;
  const path: string[] = [];
  parser.on('error', (error) => {
    fault ??= error.message.slice(0, 200);
  });
  parser.on('doctype', () => {
    refused = true;
  });
  parser.on('opentag', ({ name }) => {
    const local = name.slice(name.indexOf(':') + 1).toLowerCase();
    path.push(local);
    if (path.length === 2 && (local === 'url' || local === 'sitemap')) entry = { url: '', lastmod: '' };
    field = path.length !== 3 ? null : local === 'loc' ? 'url' : local === 'lastmod' ? 'lastmod' : null;
  });
  const addText = (text: string): void => {
    if (entry !== null && field !== null && entry[field].length <= LONGEST_VALUE) entry[field] += text;
  };
  parser.on('text', addText);
  parser.on('cdata', addText);
  parser.on('closetag', () => {
    const local = path.pop();
    field = null;
    if (path.length !== 1 || entry === null) return;
    const { url, lastmod } = entry;
    const list = local === 'sitemap' ? sitemaps : pages;
    if (url.trim() !== '' && list.length < MOST_ENTRIES) {
      list.push({ url: url.trim(), lastmod: lastmod.trim().slice(0, 100) || null });
    }
    entry = null;
  });
  return {
    /** False when nothing more can come of it. */
    write(text: string): boolean {
      parser.write(text);
      return fault === null && !refused;
    },
    end(): SitemapScan & { readonly fault: string | null; readonly refused: boolean } {
      if (fault === null && !refused) parser.close();
      return { sitemaps, pages, fault, refused };
    },
  };
}
