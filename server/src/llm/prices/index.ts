export { type ChargedTokens, costInNanoUsd, type ModelPrice, type UnitPrices } from './model-price.ts';
export { createPriceBook, type PriceBook, type PriceBookOptions, type PriceFile } from './price-book.ts';
