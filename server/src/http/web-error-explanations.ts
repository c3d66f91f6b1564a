/** Those of pages that are fetched from the web. */
export const WEB_ERROR_EXPLANATIONS = {
  url_invalid: {
    meaning: 'The web address cannot be used: it has no proper form, is not http or https, or holds a user name.',
    remedy: 'Send the whole address as the browser shows it, beginning with `https://`.',
  },
  url_not_allowed: {
    meaning:
      'The address, or one that it leads to, is on a private network or at a port that no web page is fetched from.',
    remedy:
      'Use a public address. For a server of your own on a private network, the operator names its host in `CRAWL_ALLOW_PRIVATE_HOSTS`.',
  },
  fetch_failed: {
    meaning: 'The web server could not be reached or answered with an error. The last good copy of the page is kept.',
    remedy: 'Open the address in a browser. If it works there, train the source again with `POST .../sync`.',
  },
  fetch_timeout: {
    meaning: 'The web server did not answer in time. The last good copy of the page is kept.',
    remedy: 'Train the source again later with `POST .../sync`.',
  },
  page_not_found: {
    meaning: 'There is no page at the address (status 404 or 410).',
    remedy: 'Correct the address, or delete the source.',
  },
  robots_disallowed: {
    meaning: 'The site does not want this page to be fetched or indexed: its robots.txt or the page itself says so.',
    remedy: 'Ask the site to allow `ChatSphereBot` in its robots.txt, or upload the page as a file.',
  },
  response_too_large: {
    meaning: 'The page, or what it unpacks to, is larger than a page may be.',
    remedy: 'Download it, split it into smaller files and upload those.',
  },
} as const satisfies Readonly<Record<string, { readonly meaning: string; readonly remedy: string }>>;
