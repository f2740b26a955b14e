/** One thing that is wrong with a template. */
export class TemplateFault extends Error {
  override readonly name = 'TemplateFault';
  /** Offset in the template's text of the `{{` it is about. */
  readonly index: number;
  readonly hint: string | undefined;
  constructor(message: string, index: number, hint?: string) {
    super(message);
    this.index = index;
    this.hint = hint;
  }
}

/** Everything that is wrong with a template. */
export class TemplateFaults extends Error {
  override readonly name = 'TemplateFaults';
  readonly faults: readonly TemplateFault[];
  constructor(faults: readonly TemplateFault[]) {
    super(faults.map((fault) => fault.message).join('\n'));
    this.faults = faults;
  }
}
