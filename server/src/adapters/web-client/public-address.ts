import ipaddr from 'ipaddr.js';

/** Public by its number, private by its use: the host's own services at Azure. */
const PRIVATE_BY_USE = new Set(['168.63.129.16']);
/** All that is handed out of IPv6 for the public internet (IANA). */
const GLOBAL_UNICAST = ipaddr.parseCIDR('2000::/3');

/**
 * Whether an IP address belongs to the public internet. Private, loopback, link-local, shared, reserved, documentation
 * and multicast ranges do not, nor does IPv6 that stands for an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo).
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== 'unicast') return false;
  if (parsed.kind() === 'ipv6') return parsed.match(GLOBAL_UNICAST);
  return !PRIVATE_BY_USE.has(parsed.toString());
}

/** Whether it is a translation of an IPv4 address (NAT64), as resolvers of networks without IPv4 make them up. */
export function isTranslatedAddress(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.parse(address).range() === 'rfc6052';
}
