#!/usr/bin/env node
'use strict';
// Becomes dist/cli.js. Starts dist/main.cjs with the code that V8 compiled when it was built, which saves a third of the start.
// V8 refuses a cache of another version and compiles anew. Node 22's own cache is no way out: it lies in /tmp, where another
// user could put code for root to run.
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const vm = require('node:vm');

const filename = join(__dirname, 'main.cjs');

function cachedData() {
  try {
    return readFileSync(join(__dirname, 'main.cache'));
  } catch {
    return undefined;
  }
}

const source = `(function (require, module, exports, __filename, __dirname) {${readFileSync(filename, 'utf8')}\n})`;
const script = new vm.Script(source, { filename, cachedData: cachedData() });
script.runInThisContext()(require, module, exports, filename, __dirname);

// Set by the build alone: where to leave what was compiled.
const target = process.env.MCASTCTL_BUILD_CACHE;
if (target) process.on('exit', () => require('node:fs').writeFileSync(target, script.createCachedData()));
