import { removeBetween } from '../chunking/text-ranges.ts';

const TAG = /\{%[-~]?\s*([\w.]+)(?![\w.])((?:[^{%]|\{(?!%)|%(?!\})){0,1000})%\}/g;
const OUTPUT = /(?<!\$)\{\{(?:[^{}]|\{(?!\{)|\}(?!\})){0,300}\}\}/g;
const ATTRIBUTE_LIST = /\{:[^{}\n]{1,200}\}/g;
const QUOTED = /"([^"\n]*)"|'([^'\n]*)'/g;
const FILE_NAME = /\.(png|jpe?g|gif|svg|webp|avif|mp4|html?|md|njk|liquid|css|js)$/i;
/** Tags whose arguments steer the build and say nothing to a reader. */
const STEERING = new Set([
  'include',
  'render',
  'layout',
  'extends',
  'import',
  'from',
  'if',
  'elsif',
  'elif',
  'else',
  'unless',
  'for',
  'set',
  'assign',
  'capture',
  'block',
  'macro',
  'raw',
  'comment',
]);

/**
 * Makes prose of the tags (Liquid, Nunjucks, Twig) and kramdown attribute lists that a site generator leaves in its
 * pages: comments go, and a tag becomes its first argument that is not a file name, which is what a reader sees of
 * `{% link "/travel/" %}` or `{% image "map.png" "Map of the office" %}`.
 */
export function resolveTemplateTags(text: string): string {
  if (!text.includes('{')) return text;
  return removeBetween(removeBetween(text, '{#', '#}'), /\{%[-~]?\s*comment\b/g, /endcomment\s*[-~]?%\}/g)
    .replace(TAG, (_, name: string, rest: string) => (STEERING.has(name) ? '' : firstPhrase(rest)))
    .replace(OUTPUT, '')
    .replace(ATTRIBUTE_LIST, '');
}

function firstPhrase(tagArguments: string): string {
  for (const [, double, single] of tagArguments.matchAll(QUOTED)) {
    const phrase = (double ?? single ?? '').trim();
    if (phrase !== '' && !FILE_NAME.test(phrase)) return phrase;
  }
  return '';
}
