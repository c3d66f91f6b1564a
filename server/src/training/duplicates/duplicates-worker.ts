import { serveWorkerCalls } from '../../resilience/index.ts';
import { findDuplicateGroups } from './duplicate-groups.ts';

serveWorkerCalls(findDuplicateGroups);
