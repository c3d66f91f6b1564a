import { maskCode } from '../chunking/code-mask.ts';
import { splitFrontMatter } from './front-matter.ts';
import { stripInlineHtml } from './inline-html.ts';
import type { LoadedText } from './loaded-text.ts';
import { resolveTemplateTags } from './template-tags.ts';
import { cleanText } from './text-cleaning.ts';

const IMAGE = /!\[([^\][]{0,500})\]\((?:[^()\s]|\([^()\s]*\)){0,2000}(?:\s+(?:"[^"\n]*"|'[^'\n]*'))?\s*\)/g;
const DATA_URI = /\(\s*data:[^()\s]*\)/g;
const NEEDLESS_ESCAPE = /\\(?<=[\p{L}\p{N}]\\)(?=[_.*~-])/gu;
/** Around what a site generator is to show as it is, mostly code. */
const RAW_MARKER = /\{%-?\s*(?:end)?raw\s*-?%\}/g;
const FIRST_HEADING = /^ {0,3}# +(.+?)(?: +#+)? *$/m;

/**
 * Cleans a Markdown page: front matter off (its title is kept), template tags of site generators resolved, HTML
 * stripped, images reduced to their alternative text. Code is left as it is.
 */
export function loadMarkdown(
  source: string,
  convertTable: (html: string) => string = (html) => html.replace(/<[^<>]*>/g, ' '),
): LoadedText {
  const page = splitFrontMatter(cleanText(source));
  const code = maskCode(page.body);
  const prose = page.present ? resolveTemplateTags(code.text) : code.text;
  const cleaned = stripInlineHtml(prose.replace(DATA_URI, '()').replace(IMAGE, '$1'), convertTable).replace(
    NEEDLESS_ESCAPE,
    '',
  );
  const whole = code.unmask(cleaned);
  const text = cleanText(page.present ? whole.replace(RAW_MARKER, '') : whole);
  return { title: page.title ?? headingTitle(text) ?? titleOfPath(page.permalink), text, layout: 'markdown' };
}

function headingTitle(text: string): string | null {
  const heading = FIRST_HEADING.exec(text.slice(0, 4_000))?.[1];
  return heading === undefined ? null : plainHeading(heading);
}

function titleOfPath(permalink: string | null): string | null {
  const name = permalink
    ?.split(/[?#]/, 1)[0]
    ?.split('/')
    .filter((part) => part !== '' && part !== 'index.html')
    .at(-1);
  return name === undefined ? null : name.replace(/\.\w+$/, '').replace(/[-_]+/g, ' ');
}

/** A heading as its reader sees it: without link targets, emphasis, code ticks and anchors. At most 200 characters. */
export function plainHeading(heading: string): string {
  return heading
    .replace(/!?\[([^\][]*)\](?:\([^()]*\)|\[[^\][]*\])/g, '$1')
    .replace(/\{[#:.][^{}]*\}/g, '')
    .replace(/(\*\*|__|~~|`+)/g, '')
    .replace(/(?<![\p{L}\p{N}])[*_]|[*_](?![\p{L}\p{N}])/gu, '')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 200)
    .replace(/\p{Surrogate}/gu, '');
}
