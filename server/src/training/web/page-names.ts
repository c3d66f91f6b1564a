/** Extensions by which loaders know a type; a name that ends in one of a type's own is left as it is. */
const EXTENSIONS: Readonly<Record<string, string>> = {
  'text/html': 'html',
  'application/xhtml+xml': 'html',
  'text/markdown': 'md',
  'text/x-markdown': 'md',
  'text/plain': 'txt',
  'text/csv': 'csv',
  'application/json': 'json',
  'application/pdf': 'pdf',
  'application/rtf': 'rtf',
  'application/epub+zip': 'epub',
  'application/vnd.oasis.opendocument.text': 'odt',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': 'docx',
  'application/vnd.openxmlformats-officedocument.presentationml.presentation': 'pptx',
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': 'xlsx',
};

/** Plain text that calls itself something finer in its address. */
const TEXT_EXTENSION = /\.(md|markdown|mdx|rst|adoc|txt|log|csv|tsv|json|jsonl|yaml|yml|srt|vtt)$/i;

/** Media types that the loaders read. */
export function isReadableType(mediaType: string): boolean {
  return mediaType === '' || mediaType in EXTENSIONS;
}

export function isHtmlType(mediaType: string): boolean {
  return EXTENSIONS[bareType(mediaType)] === 'html';
}

/**
 * What a page would be called as a file: the end of its path, with the extension of its media type, because that of the
 * address need not tell (`guide.php`, `notes.com`).
 */
export function fileNameOf(url: string, mediaType: string): string {
  const { pathname, hostname } = new URL(url);
  const name = decode(pathname.split('/').findLast((part) => part !== '') ?? hostname);
  const extension = EXTENSIONS[bareType(mediaType)];
  if (extension === undefined || (extension === 'txt' && TEXT_EXTENSION.test(name))) return name;
  return name.toLowerCase().endsWith(`.${extension}`) ? name : `${name.replace(/\.[a-z\d]{1,5}$/i, '')}.${extension}`;
}

function bareType(mediaType: string): string {
  return mediaType.split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text).replaceAll('/', ' ');
  } catch {
    return text;
  }
}
