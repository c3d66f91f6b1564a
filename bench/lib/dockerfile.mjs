// The instructions of a Dockerfile that the one of deploy/ uses, and what its context lets in.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const KNOWN = /^(?:FROM|WORKDIR|COPY|RUN|ENV|USER|VOLUME|EXPOSE|STOPSIGNAL|HEALTHCHECK|ENTRYPOINT|CMD)$/;

/** Stages of the Dockerfile at `path`: each the name that others copy from, and its steps (`verb`, `rest`). Throws at what it does not know. */
export function readStages(path) {
  const stages = [];
  for (const line of readFileSync(path, 'utf8')
    .replace(/\\\n\s*/g, ' ')
    .split('\n')) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, verb = '', rest = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    if (!KNOWN.test(verb)) throw new Error(`not understood: ${line}`);
    if (verb === 'FROM') stages.push({ name: / AS (\w+)$/.exec(rest)?.[1] ?? null, steps: [] });
    else stages.at(-1).steps.push({ verb, rest });
  }
  return stages;
}

/** Sources and target of a COPY, and the stage that it copies from or null. */
export function readCopy(rest) {
  const words = rest.split(/\s+/);
  const from = words[0].startsWith('--from=') ? words.shift().slice('--from='.length) : null;
  return { from, sources: words.slice(0, -1), target: words.at(-1) };
}

/** Files of `repository` that are part of it and that its .dockerignore lets in: all are left out but what is named with `!`, less some endings. */
export function contextOf(repository) {
  const lines = readFileSync(join(repository, '.dockerignore'), 'utf8').split('\n');
  const roots = lines.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
  const endings = lines.filter((line) => line.startsWith('**/*')).map((line) => line.slice('**/*'.length));
  const args = ['ls-files', '--cached', '--others', '--exclude-standard'];
  const files = execFileSync('git', args, { cwd: repository, encoding: 'utf8', maxBuffer: 1e8 }).trim().split('\n');
  const isIn = (path) => roots.some((root) => path === root || path.startsWith(`${root}/`));
  return files.filter((path) => isIn(path) && !endings.some((ending) => path.endsWith(ending)));
}
