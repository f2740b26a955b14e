export { type CompileOptions, compilePlaybook, compilePlaybookFile, type HostVars } from './compile.ts';
export { loadPlaybook, type ReadPlaybook, readPlaybook } from './load.ts';
export type { Condition, Play, Playbook, PlayTask } from './model.ts';
export { groupFault, ProbeSchema, parseDuration, toProbeParams } from './probe.ts';
export { handlerSchema, PlaySchema, taskSchema } from './schema.ts';
