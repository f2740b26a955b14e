import type { ResourceType } from '../core/resource.ts';
import { TemplateParams } from './file/params.ts';
import { fileResource } from './file/plan.ts';

/** A file whose text is made of a Handlebars file of the controller, with the variables of the host. */
export const template = {
  type: 'template',
  summary: 'A file made of a Handlebars template with the variables of the host',
  schema: TemplateParams,
  example: `- name: corosync comes back after a crash
  template:
    src: corosync-restart.conf.hbs
    path: /etc/systemd/system/corosync.service.d/50-mcastctl.conf
    mode: "0644"
`,
  sources: { src: 'template' },
  resources: ({ src: _src, ...wanted }, texts = {}) => [fileResource({ ...wanted, state: 'file', text: texts['src'] })],
} satisfies ResourceType<typeof TemplateParams>;
