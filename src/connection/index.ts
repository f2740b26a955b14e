export { connect } from './connect.ts';
export type { ConnectionOptions } from './options.ts';
export { quoteArgv } from './quote.ts';
export { resolveTarget } from './resolve-target.ts';
export type { Target } from './target.ts';
