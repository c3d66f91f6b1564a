import type { Tenant } from '../../store/index.ts';
import type { WireTenant } from '../contract/index.ts';
import { toSeconds } from './time.ts';

export function toWireTenant(tenant: Tenant): WireTenant {
  return {
    id: tenant.id,
    object: 'tenant',
    name: tenant.name,
    created_at: toSeconds(tenant.createdAt),
    updated_at: toSeconds(tenant.updatedAt),
  };
}
