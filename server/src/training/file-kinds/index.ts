/*
 * A second front door of the room, without the rest of it: the command line tells by this list which files of a folder to
 * send, and starts in a third of the time that loading the parsers takes.
 */

/** Kinds that are decoded to text before they are read. `note`: text handed in through the API; `qa`: a JSON list of questions and answers. */
export type TextKind =
  | 'markdown'
  | 'html'
  | 'plain'
  | 'note'
  | 'qa'
  | 'delimited'
  | 'json'
  | 'json-lines'
  | 'subtitles';

/**
 * Kinds whose loaders read the bytes themselves. `compound`: an OLE compound file, such as a message of Outlook. `office`,
 * `book` and `archive` are what their names promise; what is a ZIP archive is `archive`, and its loader tells what is in it.
 */
export type ByteKind = 'rich-text' | 'mail' | 'compound' | 'office' | 'book' | 'archive' | 'pdf';

/** How an input is read. */
export type ContentKind = TextKind | ByteKind;

/** What can be trained on, by extension: the one list that uploads, folders and messages go by. */
export const EXTENSIONS_OF: Readonly<Partial<Record<ContentKind, readonly string[]>>> = {
  markdown: ['md', 'markdown', 'mdown', 'mkd', 'mdx'],
  html: ['html', 'htm', 'xhtml'],
  plain: ['txt', 'text', 'log', 'rst', 'adoc', 'asciidoc', 'org', 'tex', 'yaml', 'yml', 'xml', 'toml', 'ini'],
  delimited: ['csv', 'tsv', 'tab'],
  json: ['json'],
  'json-lines': ['jsonl', 'ndjson'],
  subtitles: ['srt', 'vtt'],
  'rich-text': ['rtf'],
  mail: ['eml'],
  compound: ['msg'],
  office: ['docx', 'xlsx', 'pptx', 'docm', 'xlsm', 'pptm', 'dotx', 'xltx', 'potx', 'ppsx', 'odt', 'ods', 'odp', 'ott'],
  book: ['epub'],
  archive: ['zip'],
  pdf: ['pdf'],
};

/** Extensions of files that can be trained on, lower case, with their dot. */
export const TRAINABLE_EXTENSIONS: readonly string[] = Object.values(EXTENSIONS_OF)
  .flat()
  .map((extension) => `.${extension}`);
