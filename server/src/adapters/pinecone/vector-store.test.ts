import { afterAll, beforeAll, describe } from 'vitest';
import { type PineconeStandin, startPineconeStandin } from '../../../test/pinecone-standin/pinecone-standin.ts';
import { describeVectorStoreContract } from '../../vector-store/vector-store.contract.ts';
import { storeOver } from './pinecone-bed.contract.ts';

describe('on a stand-in of Pinecone', () => {
  let standin: PineconeStandin;
  beforeAll(async () => {
    standin = await startPineconeStandin();
  });
  afterAll(() => standin.stop());

  describeVectorStoreContract('Pinecone, which shows changes at once', (truth) => {
    Object.assign(standin.settings, { lagReads: 0, sendsLsn: true });
    return storeOver({ standin, truth, dimensions: 3, settings: { index: 'at-once' } });
  });

  describeVectorStoreContract('Pinecone, which shows changes some reads later', (truth) => {
    Object.assign(standin.settings, { lagReads: 4, sendsLsn: true });
    return storeOver({ standin, truth, dimensions: 3, settings: { index: 'later' } });
  });

  describeVectorStoreContract('Pinecone, which does not say when changes show', (truth) => {
    Object.assign(standin.settings, { lagReads: 4, sendsLsn: false });
    return storeOver({ standin, truth, dimensions: 3, settings: { index: 'unsaid' } });
  });

  describeVectorStoreContract('Pinecone with sparse values', (truth) => {
    Object.assign(standin.settings, { lagReads: 0, sendsLsn: true });
    const settings = { index: 'sparse', sparse: true, metric: 'dotproduct' } as const;
    return storeOver({ standin, truth, dimensions: 3, settings });
  });
});
