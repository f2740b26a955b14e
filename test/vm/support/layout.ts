import { join } from 'node:path';

/** How many machines there are: vm1 to vm3. */
export const COUNT = 3;

/** Folder of the image, and the folder of this run, as scripts/vm.js tells them. */
export const image = (file: string): string => join(required('MCASTCTL_VM_IMAGE'), file);
export const runFile = (file: string): string => join(required('MCASTCTL_VM_RUN'), file);

/** Address of machine N on the network that it is managed from (ens3). */
export const managementAddress = (index: number): string => `198.18.0.${index}`;
/** Address of machine N on the cluster network (vmbr0, whose port is ens4). */
export const clusterAddress = (index: number): string => `198.19.0.${index}`;

function required(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`"${name}" is not set: run "npm run test:vm"`);
  return value;
}
