import type { ResourceType } from '../core/resource.ts';
import { SysctlParams } from './sysctl/params.ts';
import { sysctlResource } from './sysctl/setting.ts';
import { UDP_BUFFERS, udpBufferResources } from './sysctl/udp-buffers.ts';

/**
 * Kernel settings of /proc/sys. Runtime: the file there, compared with white space made equal. Persistent: what systemd-sysctl(8)
 * will set at boot from all its folders, not what one file says; right values are left alone whoever gives them.
 */
export const sysctl = {
  type: 'sysctl',
  summary: 'Kernel settings of /proc/sys, now and at the next boot',
  schema: SysctlParams,
  example: `- name: UDP buffers
  sysctl:
    udp_buffers: auto
    net.ipv4.conf.vmbr0.rp_filter: 0
    net.ipv4.tcp_rmem: "4096 131072 6291456"
`,
  resources: (params) =>
    Object.entries(params).flatMap(([key, value]) =>
      key === UDP_BUFFERS ? udpBufferResources(value === 'auto' ? value : Number(value)) : [sysctlResource(key, value)],
    ),
} satisfies ResourceType<typeof SysctlParams>;
