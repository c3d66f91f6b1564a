import type { Relationship } from './office-package.ts';

/** A link in Markdown when it leads to a place that people can open and does not show its address anyway. */
export function linked(text: string, link: Pick<Relationship, 'target' | 'isExternal'> | undefined): string {
  const label = text.replace(/\s+/g, ' ').trim();
  const target = link?.isExternal ? link.target.trim() : '';
  if (label === '' || !/^(https?:|mailto:)/i.test(target) || target.includes(label)) return text;
  const address = target.replace(/\s/g, '%20').replace(/\(/g, '%28').replace(/\)/g, '%29');
  return `${/^\s/.test(text) ? ' ' : ''}[${label}](${address})${/\s$/.test(text) ? ' ' : ''}`;
}
