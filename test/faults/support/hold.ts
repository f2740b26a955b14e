import type { FaultNode } from './node.ts';

/**
 * A stand-in for perl on a node's PATH: the agent's messages go through it, and it holds one of them until it is told to go on. All other
 * programs in Perl, and logins after the first, run as if it were not there.
 */
const RELAY = `#!/usr/bin/perl
use strict;
my $real = '/usr/bin/perl';
my ($verb, $nth, $side) = ('', 0, '');
my $is_agent = @ARGV && $ARGV[0] eq '-e' && @ARGV == 3 && $ARGV[2] =~ /^[0-9]+$/;
if ($is_agent && rename '/run/hold', '/run/hold.taken') {
  open my $fh, '<', '/run/hold.taken'; ($verb, $nth, $side) = split ' ', <$fh>;
}
if ($verb eq '') { exec { $real } 'perl', @ARGV }
my $program = $ARGV[2];
pipe(my $in_r, my $in_w); pipe(my $out_r, my $out_w);
my $pid = fork;
if (!$pid) {
  open STDIN, '<&', $in_r; open STDOUT, '>&', $out_w;
  close $_ for $in_r, $in_w, $out_r, $out_w;
  exec { $real } 'perl', @ARGV;
}
close $in_r; close $out_w;
$SIG{PIPE} = 'IGNORE'; $SIG{HUP} = 'IGNORE';
sub send_all { my ($to, $data) = @_; my $at = 0; while ($at < length $data) { my $n = syswrite $to, $data, length($data) - $at, $at; last if !defined $n; $at += $n } }
sub hold { open my $fh, '>', '/run/hold.reached'; close $fh; select undef, undef, undef, 0.02 until -e '/run/hold.go' }
my ($asked, $told, $seen, $id, $is_held) = ('', '', 0, undef, 0);
while (1) {
  my $bits = ''; vec($bits, 0, 1) = 1; vec($bits, fileno $out_r, 1) = 1;
  next if select($bits, undef, undef, undef) < 1;
  if (vec($bits, fileno $out_r, 1)) {
    my $n = sysread $out_r, $told, 65536, length $told;
    last if !$n;
    while ($told =~ /^([0-9]+)\\n/ && length $told >= $+[0] + $1) {
      my $message = substr $told, 0, $+[0] + $1, '';
      my ($mine) = $message =~ /^[0-9]+\\n[0-9]+:([0-9]+),/;
      if (!$is_held && $side eq 'answer' && defined $id && $mine == $id) { $is_held = 1; hold() }
      send_all(\\*STDOUT, $message);
    }
  }
  if (vec($bits, 0, 1)) {
    my $n = sysread STDIN, my $data, 65536;
    if (!$n) { close $in_w; open STDIN, '<', '/dev/null'; waitpid $pid, 0; last }
    if ($program > 0) { my $head = substr $data, 0, $program, ''; $program -= length $head; send_all($in_w, $head) }
    $asked .= $data;
    while ($asked =~ /^([0-9]+)\\n/ && length $asked >= $+[0] + $1) {
      my $message = substr $asked, 0, $+[0] + $1, '';
      my ($mine, $what) = $message =~ /^[0-9]+\\n[0-9]+:([0-9]+),[0-9]+:([a-z]+),/;
      if ($what eq $verb && $seen++ == $nth) {
        $id = $mine;
        if ($side eq 'question') { $is_held = 1; hold() }
      }
      send_all($in_w, $message);
    }
  }
}
`;

/** From now on the next run is held there. */
export async function holdAt(node: FaultNode, step: string, side: 'question' | 'answer'): Promise<void> {
  await node.must(`rm -f /run/hold*; echo '${step} ${side}' >/run/hold
    [ -e /usr/local/sbin/perl ] || { cat >/usr/local/sbin/perl <<'END'
${RELAY}END
    chmod 755 /usr/local/sbin/perl; }`);
}

/** Waits until the run is there. @throws where it does not come within 30 s */
export async function reached(node: FaultNode): Promise<void> {
  await node.must('n=0; until [ -e /run/hold.reached ]; do sleep 0.05; n=$((n + 1)); [ $n -lt 600 ] || exit 9; done');
}

export async function letGo(node: FaultNode): Promise<void> {
  await node.must('touch /run/hold.go');
}
