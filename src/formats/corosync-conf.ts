export {
  blocksAt,
  itemAt,
  itemIn,
  withBlock,
  withoutBlock,
  withoutValue,
  withoutValueIn,
  withValue,
  withValueIn,
} from './corosync-conf/edit.ts';
export type { ConfBlock, ConfItem, ConfLine, CorosyncConf, Encoding } from './corosync-conf/model.ts';
export { parseCorosyncConf, printCorosyncConf } from './corosync-conf/parse.ts';
export { proxmoxFault } from './corosync-conf/proxmox.ts';
export { valueFaults } from './corosync-conf/values.ts';
