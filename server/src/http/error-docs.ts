import { ERROR_CODES, type ErrorCode } from '../kernel/index.ts';
import { ERROR_EXPLANATIONS } from './error-explanations.ts';
import { ERROR_STATUS, errorTypeOf } from './error-status.ts';
import { escapeHtml } from './html-escape.ts';

const ERROR_DOCS_PATH = '/docs/errors';

/** Where this server explains the code. */
export function errorDocUrl(code: ErrorCode): string {
  return `${ERROR_DOCS_PATH}#${code}`;
}

/** The text of docs/errors.md: one section for each code, in the order of the list. */
export function renderErrorsMarkdown(): string {
  const sections = ERROR_CODES.map((code) => {
    const { meaning, remedy } = ERROR_EXPLANATIONS[code];
    return `## ${code}\n\nStatus ${ERROR_STATUS[code]}, type \`${errorTypeOf(code)}\`. ${meaning}\n\n**What to do:** ${remedy}\n`;
  });
  return `# Errors

Every error answers with this body. \`code\` is stable; \`retryable\` says whether the same request may succeed later.

\`\`\`json
{
  "error": {
    "message": "what happened and what to do",
    "type": "invalid_request_error",
    "param": "messages[0].content",
    "code": "invalid_request",
    "request_id": "req_...",
    "retryable": false,
    "doc_url": "${errorDocUrl('invalid_request')}"
  }
}
\`\`\`

${sections.join('\n')}`;
}

/** The same as a page of this server. */
export function renderErrorsPage(): string {
  const sections = ERROR_CODES.map((code) => {
    const { meaning, remedy } = ERROR_EXPLANATIONS[code];
    return `<section id="${code}"><h2><a href="#${code}">${code}</a></h2>
<p>Status ${ERROR_STATUS[code]}, type <code>${errorTypeOf(code)}</code>. ${withCode(meaning)}</p>
<p><strong>What to do:</strong> ${withCode(remedy)}</p></section>`;
  });
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Errors - ChatSphere AI</title><link rel="stylesheet" href="/assets/page.css"></head>
<body><main><h1>Errors</h1><p>The <code>code</code> of an error is stable. <a href="/docs">The API</a></p>
${sections.join('\n')}</main></body></html>`;
}

function withCode(text: string): string {
  return escapeHtml(text).replace(/`([^`]+)`/g, '<code>$1</code>');
}
