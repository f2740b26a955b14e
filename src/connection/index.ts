export { connect } from './connect.ts';
export type { ConnectionOptions } from './options.ts';
export { quoteArgv } from './quote.ts';
export { resolveTarget } from './resolve-target.ts';
export { PASSWORD_VARS } from './secret.ts';
export type { Target } from './target.ts';
