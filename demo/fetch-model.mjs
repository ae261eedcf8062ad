#!/usr/bin/env node
/** Fetches models by name: `node demo/fetch-model.mjs moonshine-tiny-q8 moonshine-tiny-fp32`. */
import { MODELS } from './model/catalogue.mjs';
import { fetchModel } from './model/fetch.mjs';

const names = process.argv.slice(2);
if (names.length === 0 || names.includes('--help')) {
  console.log(`usage: node demo/fetch-model.mjs MODEL...\n\nmodels: ${Object.keys(MODELS).join(', ')}`);
  process.exit(names.length === 0 ? 2 : 0);
}
for (const name of names) {
  const model = await fetchModel(name, { log: (line) => console.log(line) });
  console.log(`${model.name}\n  ${model.encoder}\n  ${model.decoder}\n  ${model.tokenizer}`);
}
