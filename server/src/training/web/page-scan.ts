import { parseHTML } from 'linkedom';
import { CRAWLER_NAME } from './robots-rules.ts';

/** What a page says of itself and where it leads. */
export interface PageScan {
  /** Absolute. */
  readonly canonical: string | null;
  readonly noindex: boolean;
  readonly nofollow: boolean;
  /** Absolute, each once, in the order of the page. */
  readonly links: readonly string[];
}

interface Element {
  getAttribute(name: string): string | null;
}

interface ScannedDocument {
  querySelectorAll(selector: string): Iterable<Element>;
}

const MOST_LINKS = 2_000;
const LONGEST_ADDRESS = 2_048;

/** Reads the head and the links of a page. `url`: the address that it came from. */
export function scanPage(html: string, url: string): PageScan {
  const { document }: { readonly document: ScannedDocument } = parseHTML(html);
  const base = absolute(firstOf(document, 'base[href]', 'href'), url) ?? url;
  const directives = [...document.querySelectorAll('meta[name]')]
    .filter((meta) => ['robots', CRAWLER_NAME.toLowerCase()].includes(meta.getAttribute('name')?.toLowerCase() ?? ''))
    .map((meta) => meta.getAttribute('content') ?? '');
  const links = new Set<string>();
  for (const link of document.querySelectorAll('a[href], area[href]')) {
    if (links.size >= MOST_LINKS) break;
    if (/\bnofollow\b/i.test(link.getAttribute('rel') ?? '')) continue;
    const target = absolute(link.getAttribute('href'), base);
    if (target !== null) links.add(target);
  }
  return {
    canonical: absolute(firstOf(document, 'link[rel="canonical"]', 'href'), base),
    ...readDirectives(directives.join(',')),
    links: [...links],
  };
}

/** Directives of a robots meta element or an `X-Robots-Tag` header; those for other crawlers are skipped. */
export function readDirectives(text: string): { readonly noindex: boolean; readonly nofollow: boolean } {
  const directives = new Set<string>();
  let ours = true;
  for (const part of text.toLowerCase().split(',')) {
    const colon = part.indexOf(':');
    const name = part.slice(0, Math.max(0, colon)).trim();
    // Some directives have values of their own: only other names are those of crawlers.
    const addressed = colon > 0 && !/^(max-[\w-]+|unavailable_after)$/.test(name);
    if (addressed) ours = name === CRAWLER_NAME.toLowerCase();
    if (ours) directives.add((addressed ? part.slice(colon + 1) : part).trim());
  }
  const none = directives.has('none');
  return { noindex: none || directives.has('noindex'), nofollow: none || directives.has('nofollow') };
}

function firstOf(document: ScannedDocument, selector: string, attribute: string): string | null {
  for (const element of document.querySelectorAll(selector)) return element.getAttribute(attribute);
  return null;
}

function absolute(target: string | null, base: string): string | null {
  const text = target?.trim() ?? '';
  if (text === '' || !URL.canParse(text, base)) return null;
  const url = new URL(text, base);
  url.hash = '';
  const usable = /^https?:$/.test(url.protocol) && url.username === '' && url.href.length <= LONGEST_ADDRESS;
  return usable ? url.href : null;
}
