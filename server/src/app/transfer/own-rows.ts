import type { FindOwnRows } from '../../store/index.ts';
import { documentationNames } from '../first-start.ts';
import {
  ADMIN_KEY_HASH,
  DEFAULT_TENANT_ID,
  DEMO_BOT_ID,
  DEMO_KEY_NAME,
  SECRET_FINGERPRINT,
} from '../first-start-names.ts';

/**
 * What a server writes by itself when it starts: the default tenant, the admin key, the demo bot as long as nobody changed
 * it, what that is trained on, and the key of its page. What a user has put into the demo bot is not the server's, but under the name
 * of a file of the documentation, where the next start overwrites it. `documentation`: the folder of this version's.
 */
export const findOwnRowsWith =
  (documentation: string): FindOwnRows =>
  async (database) => {
    const shipped = await documentationNames(documentation);
    const setting = await database
      .selectFrom('settings')
      .select('value')
      .where('name', '=', DEMO_BOT_ID)
      .executeTakeFirst();
    const demo = setting?.value ?? null;
    return (table, valueIn) => {
      if (table === 'settings')
        return [ADMIN_KEY_HASH, DEMO_BOT_ID, SECRET_FINGERPRINT].includes(String(valueIn('name')));
      if (table === 'tenants') return valueIn('id') === DEFAULT_TENANT_ID;
      if (demo === null) return false;
      if (table === 'bots')
        return valueIn('id') === demo && Number(valueIn('updated_at')) === Number(valueIn('created_at'));
      if (table === 'api_keys') {
        return valueIn('name') === DEMO_KEY_NAME && valueIn('bots_json') === JSON.stringify([demo]);
      }
      if (valueIn('bot_id') !== demo) return false;
      if (table === 'sources') return shipped.has(String(valueIn('external_key')));
      return ['documents', 'chunks', 'index_generations'].includes(table);
    };
  };
