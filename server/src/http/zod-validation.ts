import type { FastifySchemaCompiler } from 'fastify';
import type { z } from 'zod';
import { AppError } from '../kernel/index.ts';

type Issue = z.core.$ZodIssue;

const MAX_SHOWN = 200;

/** Checks the parts of a request against the contract; what does not fit is an `invalid_request` that names the field. */
export const zodValidator: FastifySchemaCompiler<z.ZodType> = ({ schema, contentType }) => {
  // Forms are checked while they are read, part by part.
  if (contentType === 'multipart/form-data') return () => true;
  return (data) => {
    const result = schema.safeParse(data ?? {});
    return result.success ? { value: result.data } : { error: invalidRequest(result.error) };
  };
};

/** The first and most telling fault as an AppError. */
export function invalidRequest(error: z.ZodError): AppError {
  const issue = deepest(error.issues[0]);
  if (issue === undefined) return new AppError('invalid_request', 'The request is not valid.');
  if (issue.code === 'unrecognized_keys') return unknownField(issue);
  const param = pathText(issue.path);
  const more = error.issues.length > 1 ? ` (${error.issues.length - 1} more to correct)` : '';
  const message = param === '' ? `${issue.message}${more}` : `${param}: ${issue.message}${more}`;
  return new AppError('invalid_request', message, param === '' ? {} : { param });
}

function unknownField(issue: Extract<Issue, { code: 'unrecognized_keys' }>): AppError {
  const key = issue.keys[0] ?? '';
  const param = pathText([...issue.path, key]);
  return new AppError('invalid_request', `${param}: There is no such field. Remove it or check its spelling.`, {
    param,
  });
}

/** Within a union, the fault of the one alternative that was meant, if that can be told. */
function deepest(issue: Issue | undefined): Issue | undefined {
  if (issue?.code !== 'invalid_union' || !('errors' in issue)) return issue;
  const meant = issue.errors.filter((issues) => !issues.some(isOtherKind));
  if (meant.length !== 1) return issue;
  const inner = meant[0]?.[0];
  return inner === undefined ? issue : deepest({ ...inner, path: [...issue.path, ...inner.path] } as Issue);
}

/** The value is of another type altogether, or of an object of another `type`. */
function isOtherKind(issue: Issue): boolean {
  if (issue.path.length === 0) return issue.code === 'invalid_type' || issue.code === 'invalid_value';
  return issue.path.length === 1 && issue.path[0] === 'type' && issue.code === 'invalid_value';
}

/** `messages[0].content` */
function pathText(path: readonly PropertyKey[]): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else text += text === '' ? String(step) : `.${String(step)}`;
  }
  return text.slice(0, MAX_SHOWN);
}
