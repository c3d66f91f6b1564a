import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../kernel/index.ts';
import { renderErrorsMarkdown, renderErrorsPage } from './error-docs.ts';
import { ERROR_EXPLANATIONS } from './error-explanations.ts';
import { ERROR_STATUS, errorTypeOf } from './error-status.ts';

const document = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');

describe('the documentation of errors', () => {
  it('docs/errors.md has one section for each code, and no other', () => {
    const sections = [...document.matchAll(/^## (\S+)$/gm)].map((match) => match[1]);
    expect(sections).toEqual([...ERROR_CODES]);
  });

  it('docs/errors.md says what the tables say', () => {
    expect(document).toBe(renderErrorsMarkdown());
  });

  it('the page has an anchor for each code', () => {
    for (const code of ERROR_CODES) expect(renderErrorsPage()).toContain(`<section id="${code}">`);
  });

  it('every code has a status in the range of errors, and a remedy', () => {
    expect(Object.keys(ERROR_STATUS).sort()).toEqual([...ERROR_CODES].sort());
    for (const code of ERROR_CODES) {
      expect(ERROR_STATUS[code]).toBeGreaterThanOrEqual(400);
      expect(ERROR_STATUS[code]).toBeLessThan(600);
      expect(ERROR_EXPLANATIONS[code].remedy).toMatch(/\.$/);
    }
  });

  it('a type says whose fault it is', () => {
    expect(errorTypeOf('invalid_api_key')).toBe('authentication_error');
    expect(errorTypeOf('insufficient_scope')).toBe('permission_error');
    expect(errorTypeOf('rate_limit_exceeded')).toBe('rate_limit_error');
    expect(errorTypeOf('model_not_found')).toBe('invalid_request_error');
    expect(errorTypeOf('internal_error')).toBe('server_error');
  });
});
