import type { SystemStore } from '../../store/index.ts';

/** Which bots are being imported, durably: what a crash leaves half done is removed at the next start. */
export interface UnfinishedImports {
  begin(bot: { readonly id: string; readonly tenantId: string }): Promise<void>;
  end(bot: { readonly id: string }): Promise<void>;
  /** Those that a dead process has left, to be called before any import. */
  list(): Promise<readonly { readonly id: string; readonly tenantId: string }[]>;
}

const SETTING = 'unfinished_imports';

export function createUnfinishedImports(system: Pick<SystemStore, 'getSetting' | 'setSetting'>): UnfinishedImports {
  let turn: Promise<unknown> = Promise.resolve();

  function change(update: (marked: Readonly<Record<string, string>>) => Record<string, string>): Promise<void> {
    const next = turn.then(async () => system.setSetting(SETTING, JSON.stringify(update(await read()))));
    turn = next.catch(() => {});
    return next;
  }

  async function read(): Promise<Readonly<Record<string, string>>> {
    return JSON.parse((await system.getSetting(SETTING)) ?? '{}') as Record<string, string>;
  }

  return {
    begin: ({ id, tenantId }) => change((marked) => ({ ...marked, [id]: tenantId })),
    end: ({ id }) => change(({ [id]: _, ...others }) => others),
    list: async () => Object.entries(await read()).map(([id, tenantId]) => ({ id, tenantId })),
  };
}
