const ENTITIES: Readonly<Record<string, string>> = {
  '&nbsp;': ' ',
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
  '&apos;': "'",
  '&mdash;': '—',
  '&ndash;': '–',
};

/** Link texts that say nothing without their target. */
const EMPTY_LINK_TEXT =
  /^(?:(?:click )?here|this|(?:this|the) (?:link|page|form|guide|document|site)|link|read more)$/iu;

/**
 * A piece of Markdown as one line of running text: no emphasis, images, HTML or template tags, links reduced to their
 * text (with the address where the text says nothing without it). Numbers in square brackets are taken out, so that
 * they can never pass for citation markers.
 */
export function plainText(markdown: string): string {
  const shown = decodeEntities(
    withoutEmphasis(
      markdown
        .replace(/(^|\n)[ \t]*(?:>[ \t]*)+/gu, '$1')
        .replace(/\{%[^%]*\b(?:image|img|figure|page|link)\b[^%]*%\}/gu, ' ')
        .replace(/\{%[^%]*?(?:"([^"%]*)")?\s*%\}/gu, (_tag, lastArgument: string | undefined) => lastArgument ?? ' ')
        .replace(/\{\{[^}]*\}\}/gu, ' ')
        .replace(/!\[[^\]]{0,400}\]\([^)]*\)/gu, ' ')
        .replace(
          /\[((?:[^[\]]|\[[^\]]{0,100}\]){0,400})\]\(([^)\s]*)[^)]*\)/gu,
          (_link, text: string, target: string) => linkText(text, target),
        )
        .replace(/\[\^[^\]]*\]/gu, '')
        .replace(/\[([^[\]]+)\]\[[^\]]*[^\]\d\s,][^\]]*\]/gu, '$1')
        .replace(/<((?:https?:\/\/|mailto:)[^>\s]+)>/gu, '$1')
        .replace(/<\/?[a-z][^>]*>|<!--[\s\S]*?-->/giu, ' '),
    ),
  )
    .replace(/\\([\\`*_{}[\]()#+\-.!|<>~=])/gu, '$1')
    .replace(/\s+/gu, ' ')
    .replace(/^[\s*:]+(?=\S)/u, '')
    .replace(/ +([,.;:!?)])(?=\s|$)/gu, '$1');
  return withoutNumbersInBrackets(shown).trim();
}

/** Until none is left: taking one out may bring the next one about. */
function withoutNumbersInBrackets(text: string): string {
  let left = text;
  for (let before = ''; before !== left; ) {
    before = left;
    left = left.replace(/ ?\[[\d, ]*\d[\d, ]*\]/gu, '');
  }
  return left;
}

function linkText(text: string, target: string): string {
  const address = target.replace(/^mailto:/u, '');
  const isAddress = /^https?:\/\//u.test(address) || /^[^/@\s]+@[^/@\s]+$/u.test(address);
  return isAddress && EMPTY_LINK_TEXT.test(text.trim()) ? `${text} (${address})` : text;
}

function withoutEmphasis(text: string): string {
  return text
    .replace(/(?<!\\)(\*{1,3})(?=\S)((?:\\.|[^*\\])*?\S)\1/gu, '$2')
    .replace(/(?<![\p{L}\p{N}_\\])(_{1,3})(?=\S)([^_]*?\S)\1(?![\p{L}\p{N}_])/gu, '$2')
    .replace(/~~(?=\S)([^~]*?\S)~~/gu, '$1')
    .replace(/(?<![\\*])\*{2,3}(?!\*)/gu, '');
}

function decodeEntities(text: string): string {
  return text.replace(/&(?:nbsp|amp|lt|gt|quot|apos|mdash|ndash|#39);/gu, (entity) => ENTITIES[entity] ?? entity);
}
