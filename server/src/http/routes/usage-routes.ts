import type { FastifyRequest } from 'fastify';
import { AppError } from '../../kernel/index.ts';
import type { UsageFilter, UsageQuery } from '../../store/index.ts';
import {
  listOf,
  type UsageQueryString,
  usageCallsQuery,
  usageQuery,
  type WireUsageReport,
  wirePrices,
  wireUsage,
  wireUsageCall,
} from '../contract/index.ts';
import type { HttpParts } from '../http-app-options.ts';
import { groupKeyOf, toWirePrice, toWireTotals, toWireUsageCall, toWireUsageGroup } from '../mappers/usage.ts';
import { findBot } from '../owned.ts';
import { pageRequestOf, toWirePage } from '../pages.ts';
import { headerOf, principalOf } from '../request-context.ts';
import type { ZodApp } from '../zod-app.ts';

const tags = ['Usage'];
const SECOND_MS = 1000;

type Filters = Pick<UsageQueryString, 'start' | 'end' | 'bot' | 'key' | 'user' | 'model' | 'outcome' | 'kind'>;

/** What was used and what it cost. */
export function addUsageRoutes(app: ZodApp, { store, ledger, prices }: HttpParts): void {
  app.get(
    '/v1/usage',
    {
      schema: {
        summary: 'Tokens and money, by tenant, bot, key, user, model or day',
        description:
          'Sums over every upstream call. The admin key sees the tenant that its `x-chatsphere-tenant` header names; without the header it may group by `tenant`, over all of them.',
        tags,
        querystring: usageQuery,
        response: { 200: wireUsage },
      },
    },
    async (request): Promise<WireUsageReport> => {
      const { group_by: groupBy = [], start, end, limit, order } = request.query;
      if (!isOverTenants(request)) await requireKey(request, request.query.key);
      const query: UsageQuery = {
        ...(await filterOf(request, request.query)),
        ...cursorOf(request.query, 'after'),
        ...cursorOf(request.query, 'before'),
        groupBy,
        limit,
        order,
      };
      await ledger.flush();
      const { tenantId } = principalOf(request);
      const rows = isOverTenants(request) ? store.system.usage : store.forTenant(tenantId).usage;
      const { groups, hasMore, total } = await rows.summarize(query);
      const data = groups.map((group) => toWireUsageGroup(group, groupBy));
      return {
        object: 'list',
        group_by: groupBy,
        start: start ?? null,
        end: end ?? null,
        data,
        first_id: data[0]?.id ?? null,
        last_id: data.at(-1)?.id ?? null,
        has_more: hasMore,
        total: toWireTotals(total),
      };
    },
  );

  app.get(
    '/v1/usage/calls',
    {
      schema: {
        summary: 'Every upstream call with its tokens, cost and price',
        tags,
        querystring: usageCallsQuery,
        response: { 200: listOf(wireUsageCall) },
      },
    },
    async (request) => {
      await requireKey(request, request.query.key);
      const filter = await filterOf(request, request.query);
      const { limit, order, after, before } = request.query;
      await ledger.flush();
      const { tenantId } = principalOf(request);
      const page = await store
        .forTenant(tenantId)
        .usage.list({ ...filter, ...pageRequestOf({ limit, order, after, before }) });
      return toWirePage(page, toWireUsageCall);
    },
  );

  app.get(
    '/v1/prices',
    { schema: { summary: 'What models cost, as this server knows it', tags, response: { 200: wirePrices } } },
    async () => ({ object: 'list' as const, data: (await prices()).map(toWirePrice) }),
  );

  /** A key that is bound to bots sees those, and nothing that belongs to no bot. */
  async function filterOf(request: FastifyRequest, filters: Filters): Promise<UsageFilter> {
    const { start, end, bot, key, user, model, outcome, kind } = filters;
    const bots = bot === undefined ? principalOf(request).bots : [await botIdOf(request, bot)];
    return {
      ...(start === undefined ? {} : { from: start * SECOND_MS }),
      ...(end === undefined ? {} : { until: end * SECOND_MS }),
      ...(bots === null ? {} : { botIds: [...bots] }),
      ...(key === undefined ? {} : { keyId: key }),
      ...(user === undefined ? {} : { endUser: user }),
      ...(model === undefined ? {} : { model }),
      ...(outcome === undefined ? {} : { outcome }),
      ...(kind === undefined ? {} : { kind }),
    };
  }

  /** Keys that were revoked are known for ever, so a key that is not was never one of the tenant's. */
  async function requireKey(request: FastifyRequest, id: string | undefined): Promise<void> {
    const { apiKeys } = store.forTenant(principalOf(request).tenantId);
    if (id === undefined || (await apiKeys.get(id)) !== null) return;
    throw new AppError('api_key_not_found', 'key: There is no such API key. List them: GET /v1/api_keys.', {
      param: 'key',
    });
  }

  /** What a bot has used is there when the bot itself is not any more: then its id must be given. */
  async function botIdOf(request: FastifyRequest, bot: string): Promise<string> {
    const { bots } = principalOf(request);
    return bot.startsWith('bot_') && bots === null ? bot : (await findBot(store, request, bot)).id;
  }
}

/** Only the server's own admin key stands above tenants, and only when it names none. */
function isOverTenants(request: FastifyRequest & { readonly query: UsageQueryString }): boolean {
  const named = headerOf(request, 'x-chatsphere-tenant') !== undefined;
  return (
    principalOf(request).keyId === null &&
    !named &&
    request.query.bot === undefined &&
    (request.query.group_by ?? []).includes('tenant')
  );
}

function cursorOf(query: UsageQueryString, param: 'after' | 'before') {
  const cursor = query[param];
  return cursor === undefined ? {} : { [param]: groupKeyOf(cursor, { param, groupBy: query.group_by ?? [] }) };
}
