import { access } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { constants, Script } from 'node:vm';

/** A class from outside the house, not yet known to be what it should be. */
export type LoadedClass = new (...args: never) => object;

/** Why a class could not be had, in words that say what to do. */
export class LoadFault extends Error {}

/** A module name that npm could have, with the path inside its package, or a path to a file. */
const PACKAGE = /^(?:@[a-z0-9~-][\w.~-]*\/)?[a-z0-9~-][\w.~-]*(?=\/|$)/i;
const CLASS_NAME = /^[A-Za-z_$][\w$]{0,199}$/;

/**
 * Loads the named export of a module, beside this server or in one of the folders, whichever has it first. A path (`./x.mjs`)
 * is looked for in the folders. Rejects with a `LoadFault`.
 */
export async function loadClass(
  { module, className }: { readonly module: string; readonly className: string },
  folders: readonly string[],
): Promise<LoadedClass> {
  const loaded = await loadModule(module, folders);
  const member = CLASS_NAME.test(className) ? exportOf(loaded, className) : undefined;
  if (typeof member === 'function' && member.prototype !== undefined) return member as LoadedClass;
  const offered = Object.keys(loaded).filter(
    (name) => /^[A-Z]/.test(name) && typeof exportOf(loaded, name) === 'function',
  );
  const names = offered.length === 0 ? 'no class' : offered.slice(0, 12).join(', ');
  throw new LoadFault(`"${module}" exports no class named "${className}"; it exports ${names}`);
}

function exportOf(loaded: object, name: string): unknown {
  const own = (holder: unknown): unknown =>
    typeof holder === 'object' && holder !== null && Object.hasOwn(holder, name)
      ? (holder as Record<string, unknown>)[name]
      : undefined;
  // CommonJS packages may show their exports on `default` alone.
  return own(loaded) ?? own((loaded as { readonly default?: unknown }).default);
}

async function loadModule(module: string, folders: readonly string[]): Promise<object> {
  if (isPath(module)) return loadFile(module, folders);
  const packageName = PACKAGE.exec(module)?.[0];
  if (packageName === undefined) throw new LoadFault(`"${module}" is no name of a package and no path to a file`);
  const notFound = new RegExp(`Cannot find package '${packageName.replaceAll('.', '\\.')}'`);
  for (const load of [(name: string) => import(name), ...folders.map(importFrom)]) {
    try {
      return await load(module);
    } catch (error) {
      if (!notFound.test(messageOf(error))) throw brokenModule(module, error);
    }
  }
  throw new LoadFault(`the package "${packageName}" is not installed. Install it: npm install ${packageName}`);
}

async function loadFile(path: string, folders: readonly string[]): Promise<object> {
  for (const folder of isAbsolute(path) ? ['/'] : folders) {
    const file = resolve(folder, path);
    if (!(await exists(file))) continue;
    try {
      return await import(pathToFileURL(file).href);
    } catch (error) {
      throw brokenModule(path, error);
    }
  }
  throw new LoadFault(`there is no file "${path}" in ${folders.join(' or ')}`);
}

function isPath(module: string): boolean {
  return module.startsWith('./') || module.startsWith('../') || isAbsolute(module);
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

/** `import()` as a file in that folder would do it, so that the packages installed there are found. */
function importFrom(folder: string): (module: string) => Promise<object> {
  const script = new Script('(name) => import(name)', {
    filename: join(folder, 'chatsphere-modules.mjs'),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  return script.runInThisContext();
}

function brokenModule(module: string, error: unknown): LoadFault {
  const missing = /Cannot find package '([^']+)'/.exec(messageOf(error))?.[1];
  if (missing !== undefined) {
    return new LoadFault(`"${module}" needs the package "${missing}". Install it: npm install ${missing}`);
  }
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ERR_PACKAGE_PATH_NOT_EXPORTED' || code === 'ERR_MODULE_NOT_FOUND') {
    return new LoadFault(`the package of "${module}" is installed, but has no such part`);
  }
  return new LoadFault(`"${module}" cannot be loaded: ${messageOf(error).slice(0, 300)}`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
