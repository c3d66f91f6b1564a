import type { LeaseRegistry } from '../../store/index.ts';

/** Which bots are being imported, durably: what a process leaves half done when it dies is removed. */
export interface UnfinishedImports {
  begin(bot: ImportedBot): Promise<void>;
  end(bot: ImportedBot): Promise<void>;
  /** Those that a dead process has left. */
  list(now: number): Promise<readonly ImportedBot[]>;
}

interface ImportedBot {
  readonly id: string;
  readonly tenantId: string;
}

const BEGINNING = 'import/';

export function createUnfinishedImports(
  leases: Pick<LeaseRegistry, 'mark' | 'unmark' | 'abandoned'>,
): UnfinishedImports {
  const nameOf = ({ id, tenantId }: ImportedBot): string => `${BEGINNING}${tenantId}/${id}`;
  return {
    begin: (bot) => leases.mark(nameOf(bot)),
    end: (bot) => leases.unmark(nameOf(bot)),
    async list(now) {
      return (await leases.abandoned(BEGINNING, now)).map((name) => {
        const [tenantId = '', id = ''] = name.slice(BEGINNING.length).split('/');
        return { id, tenantId };
      });
    },
  };
}
