import { isIP } from 'node:net';
import { AppError } from '../../kernel/index.ts';
import { isPublicAddress } from './public-address.ts';

const LONGEST_URL = 2_048;
/** Letters, digits and hyphens; names in other scripts have become these (Punycode). */
const HOST_NAME = /^[a-z\d_.-]+$/;
/** Names that stand for this machine or this network by convention. */
const PRIVATE_SUFFIXES = ['localhost', 'localdomain', 'local', 'internal', 'intranet', 'lan', 'home', 'corp', 'arpa'];
/** Above 1023, but never a web server: X11, IRC, and databases. */
const NO_WEB_PORTS = new Set([
  ...[3306, 5432, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6697, 9200, 9300, 10_080, 11_211, 27_017],
]);
const LOWEST_FREE_PORT = 1_024;

export interface UrlGuard {
  /** @throws AppError `url_invalid` or `url_not_allowed`. */
  check(url: string): URL;
  /** Whether this host may be on a private address. `hostname` without brackets. */
  allowsPrivate(hostname: string, port: string): boolean;
}

/** `allowedPrivateHosts`: host names or `host:port`, as in CRAWL_ALLOW_PRIVATE_HOSTS. */
export function createUrlGuard(allowedPrivateHosts: readonly string[]): UrlGuard {
  const allowed = new Set(allowedPrivateHosts.map((host) => host.trim().toLowerCase()).filter((host) => host !== ''));
  const allowsPrivate = (hostname: string, port: string): boolean => {
    const host = withoutBrackets(hostname).toLowerCase();
    return [host, `${host}:${port}`, `[${host}]`, `[${host}]:${port}`].some((name) => allowed.has(name));
  };
  return {
    allowsPrivate,
    check(text) {
      const url = parse(text);
      const hostname = withoutBrackets(url.hostname);
      if (allowsPrivate(hostname, portOf(url))) return url;
      refusePort(url);
      if (isIP(hostname) === 0 ? isPrivateName(hostname) : !isPublicAddress(hostname)) throw notAllowed(hostname);
      return url;
    },
  };
}

/** The port that is called, also where the address leaves it out. */
function portOf(url: URL): string {
  return url.port || (url.protocol === 'https:' ? '443' : '80');
}

export function notAllowed(hostname: string): AppError {
  return new AppError(
    'url_not_allowed',
    `"${hostname}" is on a private network, which the crawler does not enter. If it is meant, the operator can name it in CRAWL_ALLOW_PRIVATE_HOSTS.`,
    { param: 'url' },
  );
}

function parse(text: string): URL {
  if (text.length > LONGEST_URL) throw invalid(`is longer than ${LONGEST_URL} characters`);
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null) throw invalid('is not a web address; write it like https://example.com/help');
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw invalid('must begin with http:// or https://');
  if (isIP(withoutBrackets(url.hostname)) === 0 && !HOST_NAME.test(url.hostname))
    throw invalid('has no proper host name');
  if (url.username !== '' || url.password !== '') throw invalid('must not hold a user name or a password');
  return url;
}

function refusePort(url: URL): void {
  const port = Number(portOf(url));
  if (port === 80 || port === 443 || (port >= LOWEST_FREE_PORT && !NO_WEB_PORTS.has(port))) return;
  throw new AppError('url_not_allowed', `Port ${port} is none that web pages are fetched from.`, { param: 'url' });
}

/** Also names without a dot: only a local network knows them. */
function isPrivateName(hostname: string): boolean {
  const labels = hostname.toLowerCase().replace(/\.+$/, '').split('.');
  return labels.length < 2 || PRIVATE_SUFFIXES.includes(labels.at(-1) ?? '');
}

function withoutBrackets(hostname: string): string {
  return hostname.startsWith('[') && hostname.endsWith(']') ? hostname.slice(1, -1) : hostname;
}

function invalid(why: string): AppError {
  return new AppError('url_invalid', `The address ${why}.`, { param: 'url' });
}
