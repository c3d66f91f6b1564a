export { createProviderHttp, type ProviderHttpOptions } from './undici-provider-http.ts';
