// Writes docs/errors.md from the explanations in the built server.
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { renderErrorsMarkdown } from '../server/dist/http/error-docs.js';

await writeFile(fileURLToPath(new URL('../docs/errors.md', import.meta.url)), renderErrorsMarkdown());
