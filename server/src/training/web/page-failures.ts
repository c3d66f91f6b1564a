import type { Failure, TenantRepositories } from '../../store/index.ts';

/** Why pages of the job's run could not be fetched. */
export async function fetchFailures(
  { sourceId, job }: { readonly sourceId: string; readonly job: { readonly id: string } },
  { pages }: Pick<TenantRepositories, 'pages'>,
): Promise<readonly Failure[]> {
  const { failed } = await pages.countOf(sourceId, job.id);
  if (failed === 0) return [];
  return (await pages.list(sourceId, job.id)).flatMap(({ state, url, lastError }) =>
    state === 'failed' && lastError !== null ? [{ ...lastError, message: `${url}: ${lastError.message}` }] : [],
  );
}

/** What a source says of pages that could not be fetched while others could. */
export function failureOfPages([first, ...more]: readonly Failure[]): Failure | null {
  if (first === undefined) return null;
  const kept = 'Where there was an earlier copy, it is kept.';
  if (more.length === 0) return { code: first.code, message: `${first.message} ${kept}` };
  return {
    code: first.code,
    message: `${more.length + 1} pages could not be fetched. ${kept} The first: ${first.message}`,
  };
}
