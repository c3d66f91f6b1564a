import type { Job } from '../../store/index.ts';

const AGEING_MS = 6_000;
const CLAIM_MS = 50;
const CREDIT_MS = 2_000;

/** Whose job is next, with the rules of the store's queues. */
export function createFakeJobQueues() {
  const tenants = new Map<string, number>();
  const bots = new Map<string, number>();
  const botKey = ({ tenantId, botId }: Job): string => `${tenantId} ${botId ?? '-'}`;
  const servedOf = (served: ReadonlyMap<string, number>, key: string, group = ''): number => {
    const others = [...served].filter(([other]) => other.startsWith(group)).map(([, time]) => time);
    return Math.max(served.get(key) ?? 0, Math.max(0, ...others) - CREDIT_MS);
  };
  const tenantTime = (job: Job) => servedOf(tenants, job.tenantId);
  const botTime = (job: Job) => servedOf(bots, botKey(job), `${job.tenantId} `);
  const add = (job: Job, milliseconds: number): void => {
    const times = { tenant: tenantTime(job), bot: botTime(job) };
    tenants.set(job.tenantId, times.tenant + milliseconds);
    bots.set(botKey(job), times.bot + milliseconds);
  };
  return {
    inOrder: <Row extends Job>(rows: readonly Row[]): readonly Row[] =>
      [...rows].sort(
        (a, b) =>
          tenantTime(a) - tenantTime(b) ||
          compare(a.tenantId, b.tenantId) ||
          botTime(a) - botTime(b) ||
          compare(botKey(a), botKey(b)) ||
          rankOf(a) - rankOf(b) ||
          a.createdAt - b.createdAt,
      ),
    chargeClaim: (job: Job) => add(job, CLAIM_MS),
    chargeTime: (job: Job, milliseconds: number) => add(job, milliseconds - CLAIM_MS),
  };
}

function rankOf({ runAt, priority }: Job): number {
  return runAt + priority * AGEING_MS;
}

function compare(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}
