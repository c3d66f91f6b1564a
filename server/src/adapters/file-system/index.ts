export { type DataFolderHolder, type DataFolderLock, lockDataFolder, readDataFolderLock } from './data-folder-lock.ts';
export { createFileBlobStore } from './file-blob-store.ts';
export { createPriceFile } from './price-file.ts';
