/** The tenant that the first start makes; the admin key acts in it unless another is named. */
export const DEFAULT_TENANT_ID = 'tnt_default';

/** Settings that hold what the first start made. */
export const ADMIN_KEY_HASH = 'admin_key_hash';
export const DEMO_BOT_ID = 'demo_bot_id';
export const SECRET_FINGERPRINT = 'secret_fingerprint';

/** The key of the page at `/`. */
export const DEMO_KEY_NAME = 'demo page';
