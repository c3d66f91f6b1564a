import { LRUCache } from 'lru-cache';
import type { Clock } from '../kernel/index.ts';
import type { Admission, RateLimiter, RateLimits } from './ports.ts';
import { addTokens, type Bucket, newBucket, timeUntil, refill } from './token-bucket.ts';
