export { type DataFolderHolder, type DataFolderLock, lockDataFolder, readDataFolderLock } from './data-folder-lock.ts';
export { createFileBlobStore, type FileBlobStore } from './file-blob-store.ts';
export { finishSwap, holdsData, removeData, swapBack, swapIn } from './folder-swap.ts';
export { type HeldBlobs, holdBlobs } from './held-blobs.ts';
export { createPriceFile } from './price-file.ts';
