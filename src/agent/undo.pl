# The dead-man's switch: stays on a node while a task is changed there and takes the task back by itself when its time is not
# renewed. Needs perl-base alone. Arguments: the folder of the armed task, "wait" or "now".
#
# The folder holds: undo (netstrings, a record each), files/N (copies of files as they were), deadline (seconds since boot), marks (a
# letter for each part of the task that was begun), busy (locked by the agent during a step), about (whom it belongs to).
# It is claimed by renaming: armed/ID by the agent when the task is done, or by this program when its time is over, never by both.
use strict;
use warnings;
umask 077;

my ($dir, $mode) = @ARGV;
my ($root, $id) = $dir =~ m{^(.*)/armed/([^/]+)$} or die "not an armed task: $dir\n";
my @problems;

sub slurp {
  my $path = shift;
  open my $fh, '<', $path or return;
  binmode $fh;
  local $/;
  my $text = <$fh>;
  defined $text ? $text : '';
}

sub decode {
  my ($payload, $at, @fields) = (shift, 0);
  while ($at < length $payload) {
    my $colon = index $payload, ':', $at;
    last if $colon < 0;
    my $length = substr $payload, $at, $colon - $at;
    push @fields, substr $payload, $colon + 1, $length;
    $at = $colon + 2 + $length;
  }
  @fields;
}

# Seconds since boot: no clock that anybody sets.
sub now { my ($up) = split ' ', slurp('/proc/uptime') || '0'; $up }

sub sync_dir { my $path = shift; if (open my $fh, '<', $path) { require IO::Handle; IO::Handle::sync($fh) } }

# run: seconds, standard input, program and arguments. Dies with what went wrong.
sub run {
  my ($seconds, $input, @argv) = @_;
  pipe my $in_r, my $in_w or die "pipe: $!\n";
  my $pid = fork;
  die "fork: $!\n" if !defined $pid;
  if (!$pid) {
    setpgrp;
    umask 022;
    open STDIN, '<&', $in_r; open STDOUT, '>', '/dev/null'; open STDERR, '>', '/dev/null';
    close $in_r; close $in_w;
    @ENV{'LC_ALL', 'PATH'} = ('C', '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin');
    { no warnings; exec { $argv[0] } @argv; }
    require POSIX;
    POSIX::_exit(127);
  }
  close $in_r;
  local $SIG{PIPE} = 'IGNORE';
  syswrite $in_w, $input if length $input;
  close $in_w;
  local $SIG{ALRM} = sub { kill 'KILL', -$pid, $pid };
  alarm $seconds;
  waitpid $pid, 0;
  my $status = $?;
  alarm 0;
  return if $status == 0;
  die "\"@argv\" " . ($status & 127 ? 'was ended by signal ' . ($status & 127) : 'failed with exit code ' . ($status >> 8)) . "\n";
}

# What an agent that was killed in the middle of writing left beside a file.
sub sweep {
  my $path = shift;
  my ($folder, $name) = $path =~ m{^(.*/)([^/]+)$} or return;
  (my $node = slurp('/proc/sys/kernel/hostname') || '') =~ tr/A-Za-z0-9.-//cd;
  unlink "$folder.$name.$node.mcastctl-tmp", "$folder.$name.mcastctl-undo";
}

sub attributes { join ' ', (stat $_[0])[2, 4, 5] }

# The file as it was, in one step: a copy beside it is renamed over it. What is equal is left alone.
sub put_back {
  my ($path, $copy) = @_;
  sweep($path);
  if ($copy eq '') {
    return if !-e $path && !-l $path;
    unlink $path or die "$path: $!\n";
  } else {
    my ($is, $was) = (scalar slurp($path), scalar slurp($copy));
    defined $was or die "$copy: $!\n";
    return if defined $is && $is eq $was && attributes($path) eq attributes($copy);
    my ($folder, $name) = $path =~ m{^(.*/)([^/]+)$} or die "$path: not an absolute path\n";
    my $temporary = "$folder.$name.mcastctl-undo";
    unlink $temporary;
    if ($path =~ m{^/etc/pve/}) {
      # pmxcfs knows neither owners nor modes.
      open my $fh, '>', $temporary or die "$temporary: $!\n";
      print $fh $was or die "$temporary: $!\n";
      close $fh or die "$temporary: $!\n";
    } elsif (!eval { run(30, '', 'cp', '-a', '--', $copy, $temporary); 1 }) {
      my $why = $@;
      unlink $temporary;
      # No room for a copy: where both lie on one file system, it has room for a name.
      link $copy, $temporary or die $why;
    }
    if (!rename $temporary, $path) { my $why = $!; unlink $temporary; die "$path: $why\n" }
  }
  (my $folder = $path) =~ s{[^/]*$}{};
  sync_dir($folder);
}

sub set { my ($path, $value) = @_; open my $fh, '>', $path or die "$path: $!\n"; syswrite $fh, $value or die "$path: $!\n"; close $fh or die "$path: $!\n" }

sub attempt { my $work = shift; eval { $work->(); 1 } or do { chomp(my $why = $@); push @problems, $why } }

# What was begun is taken back: files first, then what programs did to what persists, then running values.
sub undo {
  my $folder = shift;
  my $marks = slurp("$folder/marks") || '';
  my $patience = now() + ($mode eq 'now' ? 0 : 30);
  my $is_left = 0;
  for my $record (decode(slurp("$folder/undo") || '')) {
    my ($part, $kind, @args) = decode($record);
    next if index($marks, $part eq 'file' ? 'f' : $part) < 0;
    if ($part eq 'file') {
      # A disk that is full or can't be written to now may be mended soon.
      my $put = sub { eval { put_back($kind, $args[0] eq '' ? '' : "$folder/files/$args[0]"); 1 } };
      next if $put->();
      my $why = $@;
      while (now() < $patience) { select undef, undef, undef, 1; last if $put->(); $why = $@ }
      if (now() >= $patience && !$put->()) { $is_left = 1; attempt(sub { die $why }) }
    }
    attempt(sub { set(@args) }) if $part ne 'file' && $kind eq 'set';
    attempt(sub { run(@args) }) if $part ne 'file' && $kind eq 'run';
  }
  unlink "$folder/reserve";
  # The next run tries again what is tried again without harm.
  if ($is_left && open my $fh, '>', "$folder/again") { $marks =~ tr/u//d; print $fh $marks; close $fh }
  if (open my $fh, '>', "$folder/result") { print $fh map { "$_\n" } @problems; close $fh }
}

sub claim_and_undo {
  # A step of the agent that is under way ends first: the lock goes when the agent does. One that was stopped would never end.
  if (open my $busy, '+>>', "$dir/busy") {
    my $until = now() + 90;
    until (flock $busy, 6) {
      my ($agent) = (slurp("$dir/busy") || '') =~ /^(\d+)$/;
      my ($state) = $agent ? (slurp("/proc/$agent/stat") || '') =~ /.*\) (\S)/ : '';
      kill 'KILL', $agent if defined $state && $state eq 'T' && (slurp("/proc/$agent/cmdline") || '') =~ /^perl\0-e\0/;
      last if now() >= $until;
      select undef, undef, undef, 0.1;
    }
  }
  mkdir "$root/$_", 0700 for 'undoing', 'undone';
  if (!rename $dir, "$root/undoing/$id") {
    # Nothing can be written there any more: nobody else can claim it either. The next run does it again, and tells.
    undo($dir) if -d $dir;
    exit 1;
  }
  undo("$root/undoing/$id");
  rename "$root/undoing/$id", "$root/undone/$id";
  sync_dir("$root/undone");
}

# Who looks at the folder knows by it whether somebody works on it.
sub sign {
  open my $pid, '>', "$dir/pid.new" or die "$dir: $!\n";
  print $pid "$$\n";
  close $pid or die "$dir: $!\n";
  rename "$dir/pid.new", "$dir/pid" or die "$dir: $!\n";
}

if ($mode eq 'now') { eval { sign() }; claim_and_undo(); exit 0 }
sign();

# Detached: neither the end of the login nor its signals reach it.
$SIG{$_} = 'IGNORE' for 'HUP', 'INT', 'PIPE';
while (-d $dir) {
  my $deadline = slurp("$dir/deadline");
  if (defined $deadline && now() >= $deadline) { claim_and_undo(); last }
  select undef, undef, undef, 0.25;
}
