import type { Argv, Step } from '../../core/resource.ts';

/**
 * Waits until a program answers as wanted, several times in a row: a daemon that dies right after its start was not up. Arguments:
 * seconds at most, looks in a row (0.2 s apart), 1 or 0 for whether the program is to end with 0, then the program.
 */
const WAIT = `my ($seconds, $looks, $wanted, @argv) = @ARGV;
my ($end, $row) = (time + $seconds, 0);
while (1) {
  my $pid = fork;
  if (!$pid) { open STDOUT, '>', '/dev/null'; open STDERR, '>', '/dev/null'; exec { $argv[0] } @argv; exit 127 }
  waitpid $pid, 0;
  $row = ($? == 0 ? 1 : 0) == $wanted ? $row + 1 : 0;
  exit 0 if $row >= $looks;
  if (time > $end) { print STDERR $wanted ? 'it is not up' : 'it is still up', " after $seconds s\\n"; exit 1 }
  select undef, undef, undef, 0.2;
}
`;

/**
 * Runs a program and waits for its end, not for that of a daemon that it leaves behind with its output open. What it says goes to a
 * file without a name, and from there to standard error. Arguments: how many words the question has, the question, the program: where
 * there is a question that does not end with 0, there is nothing to do.
 */
const DETACH = `my @question = splice @ARGV, 0, shift;
open my $said, '+>', undef or die "$!\n";
sub run {
  my $pid = fork;
  if (!$pid) { setpgrp; open STDIN, '<', '/dev/null'; open STDOUT, '>&', $said; open STDERR, '>&', $said; exec { $_[0] } @_; print STDERR "$_[0]: $!\n"; exit 127 }
  waitpid $pid, 0;
  $? & 127 ? 128 + ($? & 127) : $? >> 8;
}
exit 0 if @question && run(@question) != 0;
my ($code, $text) = (run(@ARGV), '');
seek $said, 0, 0;
read $said, $text, 4000;
print STDERR $text;
exit $code;
`;

/**
 * Waits for a service to be up or down.
 * @param isUp a program that ends with 0 while it is up
 * @param seconds at most
 */
export function waitFor(isUp: Argv, up: boolean, seconds: number): Step {
  const argv: Argv = ['perl', '-e', WAIT, String(seconds), up ? '4' : '1', up ? '1' : '0', ...isUp];
  return { do: 'run', argv, seconds: seconds + 10 };
}

/**
 * Runs a program that starts or stops a daemon.
 * @param onlyIf a program that ends with 0 where there is something to do; by default there always is
 */
export function detached(argv: Argv, seconds: number, onlyIf: readonly string[] = []): Step {
  return {
    do: 'run',
    argv: ['perl', '-e', DETACH, String(onlyIf.length), ...onlyIf, ...argv],
    seconds: seconds + 10,
  };
}
