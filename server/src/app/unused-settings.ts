import { environmentSchema } from './environment.ts';

/** Read by the command line alone. */
const OF_COMMANDS = ['CHATSPHERE_API_KEY'];
/** Set by images and charts for their own use. */
const OF_OTHERS = ['CHATSPHERE_VERSION'];
const OWN = Object.keys(environmentSchema.shape).filter((name) => name.startsWith('CHATSPHERE_'));
/** More letters apart than this, and one is not the other mistyped. */
const MOST_APART = 3;

/** One sentence for each setting that was given and that nothing reads, though its name looks as if. */
export function unusedSettings(given: Readonly<Record<string, string | undefined>>): readonly string[] {
  const names = Object.keys(given).filter((name) => name.startsWith('CHATSPHERE_'));
  const unknown = names.filter((name) => ![...OWN, ...OF_COMMANDS, ...OF_OTHERS].includes(name));
  return [
    ...unknown.map((name) => `${name} is no setting and has no effect.${hintFor(name)}`),
    ...(given['OTEL_EXPORTER_OTLP_ENDPOINT'] === undefined
      ? []
      : ['OTEL_EXPORTER_OTLP_ENDPOINT has no effect: traces are not sent anywhere yet. Metrics are at /metrics.']),
  ];
}

/** The setting of the name without `CHATSPHERE_`, else the one that is spelt most like it. */
function hintFor(name: string): string {
  const bare = name.slice('CHATSPHERE_'.length);
  if (Object.hasOwn(environmentSchema.shape, bare)) return ` Set ${bare}.`;
  const [nearest] = [...OWN, ...OF_COMMANDS]
    .map((known) => ({ known, apart: lettersApart(name, known) }))
    .sort((one, other) => one.apart - other.apart);
  return nearest !== undefined && nearest.apart <= MOST_APART ? ` Did you mean ${nearest.known}?` : '';
}

/** How many letters must be changed, added or left out to make one of the other. */
function lettersApart(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (const [line, letter] of [...one].entries()) {
    const next = [line + 1];
    for (const [at, wanted] of [...other].entries()) {
      const changed = (row[at] ?? 0) + (letter === wanted ? 0 : 1);
      next.push(Math.min(changed, (row[at + 1] ?? 0) + 1, (next[at] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}
