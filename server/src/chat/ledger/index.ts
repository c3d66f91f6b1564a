export { createUsageLedger, type NewUsage, type UsageLedger, type UsageLedgerOptions } from './usage-ledger.ts';
