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
 * they can never pass for citation markers. Takes time linear in the length of the text, whatever it holds.
 */
export function plainText(markdown: string): string {
  const shown = decodeEntities(
    withoutEmphasis(
      markdown
        .replace(/(^|\n)[ \t]*(?:>[ \t]*)+/gu, '$1')
        .replace(/\{%([^%]*)%\}/gu, (_tag, inside: string) => templateTagText(inside))
        .replace(/\{\{[^{}]*\}\}/gu, ' ')
        .replace(/!\[[^\]]{0,400}\]\((?:[^()]|\([^()]*\))*\)/gu, ' ')
        .replace(
          /\[((?:[^[\]]|\[[^[\]]{0,100}\]){0,400})\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)(?:\s(?:[^()]|\([^()]*\))*)?\)/gu,
          (_link, text: string, target: string) => linkText(text, target),
        )
        .replace(/\[\^[^[\]]*\]/gu, '')
        .replace(/\[([^[\]]+)\]\[(?=[^[\]]*[^[\]\d\s,])[^[\]]*\]/gu, '$1')
        .replace(/<((?:https?:\/\/|mailto:)[^<>\s]+)>/gu, '$1')
        // What stands in a code span is no HTML: `<path>` is a word of the command.
        .replace(/`[^`]*`|<\/?[a-z][^<>]*>|<!--(?:(?!<!--|-->)[\s\S])*-->/giu, (found) =>
          found.startsWith('`') ? found : ' ',
        ),
    ),
  )
    .replace(/\\([\\`*_{}[\]()#+\-.!|<>~=])/gu, '$1')
    .replace(/\s+/gu, ' ')
    .replace(/^[\s*:]+(?=\S)/u, '')
    .replace(/ +([,.;:!?)])(?=\s|$)/gu, '$1');
  return withoutNumbersInBrackets(shown).trim();
}

/** The last quoted argument, which tags show as text; nothing for those that show something else. */
function templateTagText(inside: string): string {
  if (/\b(?:image|img|figure|page|link)\b/u.test(inside)) return ' ';
  return /"([^"]*)"\s*$/u.exec(inside)?.[1] ?? ' ';
}

/** In one pass over the text, as taking one out may bring the next one about. */
function withoutNumbersInBrackets(text: string): string {
  if (!text.includes('[')) return text;
  const kept: string[] = [];
  for (const character of text) {
    const opening = character === ']' ? openingOfNumbers(kept) : null;
    if (opening === null) kept.push(character);
    else kept.length = kept[opening - 1] === ' ' ? opening - 1 : opening;
  }
  return kept.join('');
}

/** Where the bracket is that has numbers alone behind it; null: there is none. */
function openingOfNumbers(characters: readonly string[]): number | null {
  const before = characters.findLastIndex((character) => !/^[\d, ]$/u.test(character));
  const hasNumber = characters.slice(before + 1).some((character) => /\d/u.test(character));
  return hasNumber && characters[before] === '[' ? before : null;
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
