import { type EthtoolRings, parseEthtoolRings, printEthtoolRings, ringsOf } from '../../src/formats/ethtool-rings.ts';
import { FormatError } from '../../src/formats/format-error.ts';
import { type ProcIgmp, parseProcIgmp, printProcIgmp } from '../../src/formats/proc-igmp.ts';
import { format, type Opened } from './format.ts';

/** Output that says nothing of a device's rings is refused, with the line that shows it. */
export const ethtoolRings: Opened = format<EthtoolRings>({
  name: 'ethtool -g',
  folder: 'ethtool',
  parse(text, file) {
    const report = parseEthtoolRings(text);
    const devices = report.devices.length > 0 ? report.devices : ['eth0'];
    for (const device of devices) {
      const answer = ringsOf(report, device);
      if (answer.kind === 'unclear')
        throw new FormatError(answer.message, { file, line: answer.line, column: 1 }, text);
    }
    return report;
  },
  print: printEthtoolRings,
  edits: [],
});

export const procIgmp: Opened = format<ProcIgmp>({
  name: '/proc/net/igmp',
  folder: 'igmp',
  parse: (text, file) => parseProcIgmp(text, file),
  print: printProcIgmp,
  edits: [],
});
