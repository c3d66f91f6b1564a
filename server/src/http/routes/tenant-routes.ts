import { AppError } from '../../kernel/index.ts';
import type { Tenant } from '../../store/index.ts';
import { deleted, idParams, listOf, listQuery, tenantBody, wireTenant } from '../contract/index.ts';
import type { HttpParts } from '../http-app-options.ts';
import { toWireTenant } from '../mappers/tenant.ts';
import { pageRequestOf, toWirePage } from '../pages.ts';
import { principalOf } from '../request-context.ts';
import type { ZodApp } from '../zod-app.ts';

const tags = ['Tenants'];

/** Tenants, for the server's admin. */
export function addTenantRoutes(app: ZodApp, { store, trainer, defaultTenantId, createId, clock }: HttpParts): void {
  async function findTenant(id: string): Promise<Tenant> {
    const tenant = await store.tenants.get(id);
    if (tenant === null) throw new AppError('tenant_not_found', 'There is no such tenant. List them: GET /v1/tenants.');
    return tenant;
  }

  /** Bot by bot, so that indexes and caches let go of the content too. */
  async function removeBots(tenantId: string): Promise<void> {
    const { bots } = store.forTenant(tenantId);
    for (let page = await bots.list({ limit: 100, order: 'asc' }); page.items.length > 0; ) {
      for (const bot of page.items) await trainer.removeBot(bot);
      page = await bots.list({ limit: 100, order: 'asc' });
    }
  }

  app.post(
    '/v1/tenants',
    { schema: { summary: 'Create a tenant', tags, body: tenantBody, response: { 201: wireTenant } } },
    async (request, reply) => {
      const now = clock.now();
      const tenant: Tenant = { id: createId('tnt'), name: request.body.name, createdAt: now, updatedAt: now };
      await store.tenants.create(tenant);
      return reply.code(201).send(toWireTenant(tenant));
    },
  );

  app.get(
    '/v1/tenants',
    { schema: { summary: 'List tenants', tags, querystring: listQuery(), response: { 200: listOf(wireTenant) } } },
    async (request) => toWirePage(await store.tenants.list(pageRequestOf(request.query)), toWireTenant),
  );

  app.get(
    '/v1/tenants/:id',
    { schema: { summary: 'Get a tenant', tags, params: idParams, response: { 200: wireTenant } } },
    async (request) => toWireTenant(await findTenant(request.params.id)),
  );

  app.patch(
    '/v1/tenants/:id',
    { schema: { summary: 'Rename a tenant', tags, params: idParams, body: tenantBody, response: { 200: wireTenant } } },
    async (request) => {
      const { id } = await findTenant(request.params.id);
      const changed = await store.tenants.update(id, { name: request.body.name, updatedAt: clock.now() });
      return toWireTenant(changed ?? (await findTenant(id)));
    },
  );

  app.delete(
    '/v1/tenants/:id',
    {
      schema: {
        summary: 'Delete a tenant and all it owns',
        tags,
        params: idParams,
        response: { 200: deleted('tenant') },
      },
    },
    async (request) => {
      const { id } = await findTenant(request.params.id);
      if (id === defaultTenantId) {
        throw new AppError(
          'default_tenant_required',
          'The server itself uses this tenant. Delete its bots and keys instead.',
        );
      }
      if (id === principalOf(request).tenantId) {
        throw new AppError('invalid_request', 'You act in this tenant: an admin needs one to act in. Delete another.');
      }
      await removeBots(id);
      await store.tenants.delete(id);
      return { id, object: 'tenant.deleted' as const, deleted: true as const };
    },
  );
}
