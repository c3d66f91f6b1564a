import { describeVectorStoreContract } from '../../vector-store/vector-store.contract.ts';
import { createExactVectorStore } from './exact-vector-store.ts';

describeVectorStoreContract('exact fake', async () => createExactVectorStore());
