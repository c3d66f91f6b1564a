// Writes the tables of docs/scaling.md from the reports in bench/results.
//   node scripts/write-scaling-docs.mjs [REPORT ...]     takes reports that bench/scaling.mjs has printed in place of those that are kept
//   node scripts/write-scaling-docs.mjs --check          ends with 1 when the page says something else
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { renderParts } from '../bench/lib/scaling-tables.mjs';

const pathOf = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const read = (path) => JSON.parse(readFileSync(path, 'utf8'));
const KEPT = {
  sqlite: pathOf('bench/results/scaling-sqlite.json'),
  postgres: pathOf('bench/results/scaling-postgres.json'),
};
const PAGE = pathOf('docs/scaling.md');

const [...words] = process.argv.slice(2);
const isCheck = words.includes('--check');
for (const path of words.filter((word) => word !== '--check')) {
  const report = read(path);
  writeFileSync(
    report.engine.startsWith('SQLite') ? KEPT.sqlite : KEPT.postgres,
    `${JSON.stringify(report, null, 2)}\n`,
  );
}
const parts = renderParts(
  { sqlite: read(KEPT.sqlite), postgres: read(KEPT.postgres) },
  read(pathOf('bench/results/other-costs.json')),
);
const before = readFileSync(PAGE, 'utf8');
let page = before;
for (const [name, table] of Object.entries(parts)) {
  const [begin, end] = [`<!-- ${name} -->\n`, `\n<!-- end of ${name} -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/scaling.md has no place for ${name}`);
  page = `${page.slice(0, from + begin.length)}\n${table}\n${page.slice(to)}`;
}
if (!isCheck) writeFileSync(PAGE, page);
else if (page !== before) {
  console.error('docs/scaling.md is not what the reports say: node scripts/write-scaling-docs.mjs');
  process.exitCode = 1;
}
