// TypeScript emits only code: binary tables and pages that the server reads at run time are copied beside it, and the command may be run.
import { chmod, cp, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('../server/src/', import.meta.url));
const target = fileURLToPath(new URL('../server/dist/', import.meta.url));
for (const entry of await readdir(source, { recursive: true, withFileTypes: true })) {
  if (entry.isDirectory() && entry.name === 'assets') {
    const folder = join(entry.parentPath, entry.name);
    await cp(folder, folder.replace(source, target), { recursive: true });
  }
}
await chmod(join(target, 'app/main-cli.js'), 0o755);
