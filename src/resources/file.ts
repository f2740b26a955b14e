import type { ResourceType } from '../core/resource.ts';
import { FileParams } from './file/params.ts';
import { fileResource } from './file/plan.ts';

/**
 * A file, directory or link. It has a persistent layer only: what a daemon makes of it is another resource's business, such as a
 * handler that restarts it. Text, owner and mode of a file change in one instant.
 */
export const file = {
  type: 'file',
  summary: 'A file, directory or link: text, owner and mode',
  schema: FileParams,
  example: `- name: Environment of corosync
  file:
    path: /etc/default/corosync
    content: |
      # Managed by mcastctl for {{inventory_hostname}}
      COROSYNC_MAIN_CONFIG_FILE=/etc/corosync/corosync.conf
    owner: root
    group: root
    mode: "0644"
`,
  sources: { src: 'file' },
  resources: ({ content, src, ...wanted }, texts = {}) => [
    fileResource({ ...wanted, text: src === undefined ? content : texts['src'] }),
  ],
} satisfies ResourceType<typeof FileParams>;
