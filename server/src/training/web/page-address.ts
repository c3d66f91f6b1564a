/** Parameters that tell a site where its visitor comes from, and do not change the page. */
const TRACKING =
  /^(utm_\w+|gclid|gclsrc|dclid|gbraid|wbraid|fbclid|msclkid|yclid|twclid|ttclid|igshid|mc_[ce]id|_ga|_gl|_hs(enc|mi)|mkt_tok|vero_id)$/i;
const INDEX_PAGE = /\/index\.html?$/i;
const UNRESERVED = /[\w.~-]/;
/** What links lead to besides pages; known by its name, it need not be fetched to be refused. */
const NO_PAGE =
  /\.(avif|bmp|css|dmg|docm|eot|exe|flv|gif|gz|heic|ico|iso|jar|jpe?g|js|m4[av]|mjs|mkv|mov|mp[34]|mpe?g|msi|og[gv]|otf|pkg|png|rar|rss|svg|tar|tgz|tiff?|ttf|wasm|wav|web[mp]|wmv|woff2?|xz|zip|7z)$/i;

/** The address without what does not change the page: its fragment, parameters of tracking, spellings of escapes. */
export function cleanAddress(address: URL): string {
  const url = new URL(address);
  url.hash = '';
  url.pathname = url.pathname.replace(/%[\da-f]{2}/gi, spellEscape);
  const parameters = url.search.slice(1).split('&');
  const kept = parameters.filter((parameter) => parameter !== '' && !TRACKING.test(parameter.split('=', 1)[0] ?? ''));
  url.search = kept.length === 0 ? '' : `?${kept.join('&')}`;
  return url.href;
}

/**
 * One spelling for the addresses of one page: clean, and without the name of an index page. It tells pages apart and is not
 * called itself, because not every server has a page there. A slash at the end is left, because servers do tell the two apart.
 */
export function addressKey(address: URL): string {
  const url = new URL(cleanAddress(address));
  url.pathname = url.pathname.replace(INDEX_PAGE, '/');
  return url.href;
}

/** The same for all addresses of one site: its host and port; `www.` and the choice of http or https make no difference. */
export function siteOf(url: URL): string {
  return `${url.hostname.replace(/^www\./, '').replace(/\.$/, '')}:${url.port}`;
}

/** Whether an address may lead to a page, by its scheme and its name. */
export function mayBePage(url: URL): boolean {
  return (url.protocol === 'http:' || url.protocol === 'https:') && !NO_PAGE.test(url.pathname);
}

export function parseAddress(text: string, base?: string): URL | null {
  return URL.canParse(text, base) ? new URL(text, base) : null;
}

function spellEscape(escaped: string): string {
  const character = String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
  return UNRESERVED.test(character) ? character : escaped.toUpperCase();
}
