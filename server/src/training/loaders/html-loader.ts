import { Readability } from '@mozilla/readability';
import { parseHTML } from 'linkedom';
import { splitFrontMatter } from './front-matter.ts';
import { createHtmlToMarkdown, type HtmlElement } from './html-to-markdown.ts';
import type { LoadedText } from './loaded-text.ts';
import { resolveTemplateTags } from './template-tags.ts';
import { cleanText } from './text-cleaning.ts';

interface HtmlDocument extends HtmlElement {
  readonly body: HtmlElement;
  readonly title: string;
  cloneNode(deep: boolean): HtmlDocument;
}

/** What the visitor of a page does not see, or does not come for. */
const UNSEEN =
  'script, style, noscript, template, iframe, object, [hidden], [aria-hidden="true"], dialog:not([open]), [role="dialog"]';
const AROUND =
  'nav, header, footer, aside, form, [role="navigation"], [role="banner"], [role="contentinfo"], [role="search"]';
const HIDING_STYLE =
  /(display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])|opacity\s*:\s*0(?![.\d]))/i;
/** Readability takes seconds for larger pages, and two copies of them; such pages are manuals, not articles. */
const LONGEST_ARTICLE_PAGE = 1_000_000;
/** Below this share of the page's text the article that was found is taken for a mere part of it. */
const LEAST_SHARE = 0.5;

/**
 * Finds the main content of a page (Mozilla Readability; the `main` element or the body where that finds too little)
 * and makes Markdown of it. Scripts, styles, navigation and what is hidden from readers are left out.
 */
export function loadHtml(source: string): LoadedText {
  const page = splitFrontMatter(cleanText(source));
  const document = parsePage(page.present ? resolveTemplateTags(page.body) : page.body);
  removeUnseen(document);
  const pageTitle = page.title ?? titleOf(document);
  const article = source.length > LONGEST_ARTICLE_PAGE ? null : readArticle(document);
  const text = cleanText(createHtmlToMarkdown()(contentOf(document, article)));
  return { title: pageTitle ?? article?.title ?? null, text, layout: 'markdown' };
}

/** Makes Markdown of a chapter of a book: all of it but navigation, because there is nothing around it as on a web page. */
export function loadChapter(source: string): string {
  const document = parsePage(
    cleanText(source)
      .replace(/^<\?xml[^>]*>\s*/i, '')
      .replace(SELF_CLOSED, closeTag),
  );
  removeUnseen(document);
  removeAll(document, 'nav');
  return cleanText(createHtmlToMarkdown()(document.body));
}

/** XHTML knows empty elements that HTML takes for opening tags, as of a title that has no end. */
const SELF_CLOSED = /<([a-z][\w:-]*)((?:\s[^<>]*)?)\/>/gi;
const VOID = /^(?:area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr)$/i;

function closeTag(tag: string, name: string, attributes: string): string {
  return VOID.test(name) ? tag : `<${name}${attributes}></${name}>`;
}

/** Makes a Markdown table of an HTML one. */
export function convertHtmlTable(html: string): string {
  return cleanText(createHtmlToMarkdown()(parsePage(html).body));
}

/** The parser does not make up for a missing `html` or `body` as browsers do. */
function parsePage(html: string): HtmlDocument {
  const whole = /<html[\s>]/i.test(html) && /<body[\s>]/i.test(html);
  const content = whole ? html : html.replace(/<!doctype[^<>]*>|<\/?(?:html|body)(?:\s[^<>]*)?>/gi, '');
  const { document }: { readonly document: HtmlDocument } = parseHTML(
    whole ? content : `<!doctype html><html><head></head><body>${content}</body></html>`,
  );
  return document;
}

function titleOf(document: HtmlDocument): string | null {
  const heading = document.querySelectorAll('h1');
  const onlyHeading = heading.length === 1 ? [...heading][0]?.textContent : undefined;
  const title = (document.querySelector('title')?.textContent ?? '').trim() || (onlyHeading ?? '');
  return title.replace(/\s+/g, ' ').trim().slice(0, 300) || null;
}

function removeUnseen(document: HtmlDocument): void {
  removeAll(document, UNSEEN);
  for (const element of document.querySelectorAll('[style]')) {
    if (HIDING_STYLE.test(element.getAttribute('style') ?? '')) element.remove();
  }
}

function removeAll(root: HtmlElement, selector: string): void {
  for (const element of root.querySelectorAll(selector)) element.remove();
}

interface Article {
  readonly title: string | null;
  readonly root: HtmlElement;
}

function readArticle(document: HtmlDocument): Article | null {
  const article = new Readability<HtmlElement>(document.cloneNode(true), {
    charThreshold: 200,
    serializer: (node: HtmlElement) => node,
  }).parse();
  if (!article?.content) return null;
  return { title: article.title?.trim() || null, root: article.content };
}

/** The article, unless it is only a small part of the page's main element (or of the body, without what is around it). */
function contentOf(document: HtmlDocument, article: Article | null): HtmlElement {
  const mains = document.querySelectorAll('main, [role="main"]');
  const main = mains.length === 1 ? [...mains][0] : undefined;
  if (main === undefined && article !== null && lengthOf(article.root) >= 500) return article.root;
  removeAll(main ?? document.body, AROUND);
  const whole = main ?? document.body;
  return article !== null && lengthOf(article.root) >= lengthOf(whole) * LEAST_SHARE ? article.root : whole;
}

function lengthOf(element: HtmlElement): number {
  return (element.textContent ?? '').replace(/\s+/g, ' ').length;
}
