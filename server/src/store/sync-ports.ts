import type { Page, PageRequest } from './page.ts';
import type { SyncItem, SyncItemState, SyncRun } from './sync-entities.ts';

export interface SyncRunRepository {
  /** With all that it asks for. */
  create(run: Omit<SyncRun, 'tenantId'>, items: readonly Omit<SyncItem, 'position' | 'state'>[]): Promise<void>;
  get(botId: string, id: string): Promise<SyncRun | null>;
  list(botId: string, page: PageRequest): Promise<Page<SyncRun>>;
  update(
    id: string,
    changes: {
      readonly status?: SyncRun['status'];
      readonly receipt?: SyncRun['receipt'];
      readonly endedAt?: number;
    },
  ): Promise<void>;
  /** Items of the run behind `after`, in the order of `position`. */
  items(
    runId: string,
    filter: {
      readonly actions: readonly SyncItem['action'][];
      readonly states: readonly SyncItemState[];
      readonly after?: number;
      readonly limit: number;
    },
  ): Promise<readonly SyncItem[]>;
  findItem(runId: string, externalKey: string): Promise<SyncItem | null>;
  /** How many items there are of each action and state. */
  count(runId: string): Promise<readonly (Pick<SyncItem, 'action' | 'state'> & { readonly count: number })[]>;
  setState(
    runId: string,
    change: {
      readonly externalKeys: readonly string[];
      readonly action: SyncItem['action'];
      readonly state: SyncItemState;
    },
  ): Promise<void>;
  /** Tells every run of the bot that something was put under this key: it is uploaded, and not to be deleted. */
  noteUpload(botId: string, externalKey: string): Promise<void>;
}
