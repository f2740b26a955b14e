/** The parser alone: loading all of Handlebars takes four times as long, and nothing else of it is used. */
declare module 'handlebars/dist/cjs/handlebars/compiler/base.js' {
  export function parse(text: string): hbs.AST.Program;
}
