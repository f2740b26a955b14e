# The agent: runs on a node for as long as the controller's connection lasts, does what the controller asks and
# leaves nothing behind. Needs perl-base alone. Nothing it is given is ever interpreted by a shell.
#
# A message, both ways: decimal length of the payload, newline, payload. A payload: netstrings, "LENGTH:BYTES,".
# A request is [id, verb, arguments...]; its answer [id, "ok", fields...] or [id, "error", message, errno].
package Agent;
use strict;

# asm-generic/errno-base.h: the same on every Linux. Errno.pm would cost each login a millisecond.
sub ENOENT () { 2 }
sub EINTR () { 4 }
sub ENOTDIR () { 20 }
sub EISDIR () { 21 }
sub EINVAL () { 22 }
sub EFBIG () { 27 }

our (%VERB, %watch, @timers, %child);
our $MAX_OUTPUT = 16 << 20;
our $MAX_ANSWER = 40 << 20;

sub encode { join '', map { length($_) . ":$_," } @_ }

sub decode {
  my ($payload, $at, @fields) = (shift, 0);
  while ($at < length $payload) {
    my $colon = index $payload, ':', $at;
    my $length = substr $payload, $at, $colon - $at;
    push @fields, substr $payload, $colon + 1, $length;
    $at = $colon + 2 + $length;
  }
  @fields;
}

sub answer {
  my $payload = encode(@_);
  $payload = encode($_[0], 'error', 'the answer is longer than ' . ($MAX_ANSWER >> 20) . ' MiB', '') if length $payload > $MAX_ANSWER;
  my $message = length($payload) . "\n$payload";
  my $at = 0;
  while ($at < length $message) {
    my $n = syswrite STDOUT, $message, length($message) - $at, $at;
    if (!defined $n) { next if $! == EINTR; leave() }
    $at += $n;
  }
}

sub fail { my ($id, $message, $errno) = @_; answer($id, 'error', $message, defined $errno ? $errno : '') }

sub leave { kill 'KILL', map { -$_ } keys %child; exit 0 }

# watch($handle, $code): $code is called when the handle can be read. at($time, $code): once, at a time of now().
sub watch { my ($fh, $code) = @_; $watch{fileno $fh} = [$fh, $code] }
sub unwatch { my $fh = shift; delete $watch{fileno $fh} }
sub at { my ($time, $code) = @_; my $timer = [$time, $code]; @timers = sort { $a->[0] <=> $b->[0] } @timers, $timer; $timer }
sub cancel { my $timer = shift; @timers = grep { $_ != $timer } @timers }

# Seconds since boot. /proc/uptime counts in 10 ms, enough for time-outs; fine_clock() is for those who measure:
# CLOCK_BOOTTIME (7), whose system call number differs by machine (asm/unistd.h), runs in step with /proc/uptime.
our %CLOCK_GETTIME = (x86_64 => 228, aarch64 => 113, riscv64 => 113, loongarch64 => 113, i386 => 265, i686 => 265,
  armv7l => 263, ppc64le => 246, s390x => 260);
our ($clock, $clock_pack);
sub now {
  if ($clock) {
    my $spec = pack $clock_pack, 0, 0;
    if (syscall($clock, 7, $spec) == 0) { my ($s, $ns) = unpack $clock_pack, $spec; return $s + $ns / 1e9 }
    $clock = 0;
  }
  open my $fh, '<', '/proc/uptime' or return time;
  my ($up) = split ' ', <$fh>;
  $up;
}

# True where the clock is fine enough to measure a round trip. Refused where perl's word is not the kernel's.
sub fine_clock {
  require POSIX;
  my $machine = (POSIX::uname())[4];
  my $is_wide = $machine =~ /64|s390x/ ? 1 : 0;
  return 0 if $is_wide != (length(pack 'P', '') == 8 ? 1 : 0);
  $clock_pack = $is_wide ? 'q q' : 'l l';
  $clock = $CLOCK_GETTIME{$machine} || 0;
  now();
  $clock ? 1 : 0;
}

# run_child(\@argv, $stdin, $seconds, $done): starts a program; $done->(code, signal, stdout, stderr, problem).
sub run_child {
  my ($argv, $input, $seconds, $done) = @_;
  pipe(my $out_r, my $out_w) && pipe(my $err_r, my $err_w) && pipe(my $in_r, my $in_w)
    or return $done->('', '', '', '', "pipe: $!");
  my $pid = fork;
  return $done->('', '', '', '', "fork: $!") if !defined $pid;
  if (!$pid) {
    setpgrp;
    $SIG{PIPE} = 'DEFAULT';
    open STDIN, '<&', $in_r; open STDOUT, '>&', $out_w; open STDERR, '>&', $err_w;
    close $_ for $in_r, $in_w, $out_r, $out_w, $err_r, $err_w;
    $ENV{LC_ALL} = 'C';
    $ENV{PATH} = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    { no warnings; exec { $argv->[0] } @$argv; }
    my $code = $! == ENOENT ? 127 : 126;
    print STDERR "$argv->[0]: $!\n";
    close STDERR;
    require POSIX;
    POSIX::_exit($code);
  }
  close $_ for $in_r, $out_w, $err_w;
  $child{$pid} = 1;
  my ($text, $problem, $open) = (['', ''], '', 2);
  # The input of a step is small: it fits a pipe's 64 KiB, and what does not is fed by a process of its own.
  if (length $input > 60000) {
    my $feeder = fork;
    if (defined $feeder && !$feeder) {
      my $at = 0;
      while ($at < length $input) { my $n = syswrite $in_w, $input, length($input) - $at, $at; last if !$n; $at += $n }
      require POSIX; POSIX::_exit(0);
    }
  } elsif (length $input) { syswrite $in_w, $input }
  close $in_w;
  my ($timer, $reap);
  my $stop = sub { $problem ||= shift; kill 'KILL', -$pid, $pid };
  $reap = sub {
    return if --$open;
    cancel($timer);
    waitpid $pid, 0;
    my $status = $?;
    delete $child{$pid};
    $done->($status & 127 ? '' : $status >> 8, $status & 127 || '', @$text, $problem);
  };
  for ([$out_r, 0], [$err_r, 1]) {
    my ($fh, $which) = @$_;
    watch($fh, sub {
      my $n = sysread $fh, $text->[$which], 65536, length $text->[$which];
      return if !defined $n && $! == EINTR;
      $stop->("printed more than $MAX_OUTPUT bytes") if length $text->[$which] > $MAX_OUTPUT;
      if (!$n) { unwatch($fh); close $fh; $reap->() }
    });
  }
  $timer = at(now() + $seconds, sub {
    $stop->("did not end within $seconds s");
    # A process that left the group may hold the pipes open for ever: stop waiting for them.
    at(now() + 1, sub { for ($out_r, $err_r) { if (defined fileno $_) { unwatch($_); close $_; $reap->() } } });
  });
}

sub slurp {
  my $path = shift;
  open my $fh, '<', $path or return;
  my $text = '';
  while (1) {
    my $n = sysread $fh, $text, 65536, length $text;
    return if !defined $n;
    last if !$n;
    if (length $text > $MAX_OUTPUT) { $! = EFBIG; return }
  }
  \$text;
}

# One file: path, text, mode, uid, gid, "l" + link target or "". A link to a device (systemd masks with /dev/null) is empty.
sub file_fields {
  my $path = shift;
  my $target = readlink $path;
  my @stat = stat $path or return;
  my $text = '';
  if (-f _) { my $got = slurp($path) or return; $text = $$got }
  elsif (-d _) { $! = EISDIR; return }
  elsif (!defined $target) { $! = EINVAL; return }
  ($path, $text, $stat[2] & 07777, $stat[4], $stat[5], defined $target ? "l$target" : '');
}

sub problem { ('error', "$!", $! + 0) }
sub is_absent { $! == ENOENT || $! == ENOTDIR }

sub read_file {
  my $path = shift;
  my @fields = file_fields($path);
  return ('file', @fields) if @fields;
  is_absent() ? 'none' : problem();
}

# Files of a directory by suffix; with $within, those of its subdirectories whose name ends so.
sub read_dir {
  my ($path, $suffix, $within) = @_;
  opendir my $dir, $path or return is_absent() ? 'none' : problem();
  my @names = sort readdir $dir;
  my @files;
  for my $name (grep { ends_in($_, defined $within ? $within : $suffix) } @names) {
    if (defined $within) {
      my ($kind, @found) = -d "$path/$name" ? read_dir("$path/$name", $suffix) : 'none';
      return ($kind, @found) if $kind eq 'error';
      push @files, @found;
      next;
    }
    next if -d "$path/$name";
    my @fields = file_fields("$path/$name");
    # Attributes of /sys that can only be written, and links to nowhere, are no settings.
    push @files, encode(@fields) if @fields;
    return problem() if !@fields && -e "$path/$name" && $path !~ m{^/(sys|proc)/};
  }
  ('dir', @files);
}

sub ends_in { my ($name, $end) = @_; $name !~ /^\.\.?$/ && ($end eq '' || length $name >= length $end && substr($name, -length $end) eq $end) }

# read: each argument is an encoded read; one encoded result each, in order.
$VERB{read} = sub {
  my ($id, @reads) = @_;
  my ($next, @results);
  $next = sub {
    while (@results < @reads) {
      my ($kind, @args) = decode($reads[@results]);
      if ($kind eq 'file') { push @results, encode(read_file(@args)) }
      elsif ($kind eq 'dir') { push @results, encode(read_dir(@args)) }
      else {
        my $seconds = shift @args;
        run_child(\@args, '', $seconds, sub { push @results, encode('run', @_); $next->() });
        return;
      }
    }
    answer($id, 'ok', @results);
    undef $next;
  };
  $next->();
};

# facts: hostname, kernel, machine, os-release, then for each device: name, driver, address, mtu.
$VERB{facts} = sub {
  my $id = shift;
  require POSIX;
  my (undef, $hostname, $kernel, undef, $machine) = POSIX::uname();
  my $release = slurp('/etc/os-release') || slurp('/usr/lib/os-release') || \'';
  my @nics;
  if (opendir my $dir, '/sys/class/net') {
    for my $name (sort grep { !/^\./ && -d "/sys/class/net/$_" } readdir $dir) {
      my $driver = readlink "/sys/class/net/$name/device/driver";
      my ($mac, $mtu) = map { my $text = slurp("/sys/class/net/$name/$_"); $text ? $$text =~ /(\S+)/ : '' } 'address', 'mtu';
      push @nics, encode($name, defined $driver ? $driver =~ m{([^/]+)$} : '', $mac, $mtu);
    }
  }
  answer($id, 'ok', $hostname, $kernel, $machine, $$release, @nics);
};

# load: more of the agent: changing, probing.
$VERB{load} = sub {
  my ($id, $source) = @_;
  eval "$source; 1" ? answer($id, 'ok') : fail($id, $@);
};

# seal: from now on nothing is done but these reads, byte for byte, and no more of the agent is taken in. There is no way back.
$VERB{seal} = sub {
  my ($id, @registered) = @_;
  my %registered = map { $_ => 1 } @registered;
  my $read = $VERB{read};
  %VERB = (facts => $VERB{facts}, read => sub {
    my ($id, @reads) = @_;
    for (grep { !$registered{$_} } @reads) {
      my ($kind, @args) = decode($_);
      return fail($id, "a read that was not registered: " . join ' ', $kind, @args);
    }
    $read->($id, @reads);
  });
  answer($id, 'ok');
};

# The SSH connection as sshd told it. sudo cleans the environment, but its own process still has it.
sub ssh_connection {
  return $ENV{SSH_CONNECTION} if $ENV{SSH_CONNECTION};
  my $pid = getppid;
  for (1 .. 3) {
    my $environ = slurp("/proc/$pid/environ");
    return $1 if $environ && $$environ =~ /(?:^|\0)SSH_CONNECTION=([^\0]+)/;
    my $stat = slurp("/proc/$pid/stat") or last;
    ($pid) = $$stat =~ /.*\) \S (\d+)/ or last;
  }
  '';
}

my $buffer = '';
sub take_input {
  my $n = sysread STDIN, $buffer, 262144, length $buffer;
  return if !defined $n && $! == EINTR;
  leave() if !$n;
  while ($buffer =~ /^(\d+)\n/) {
    my ($length, $head) = ($1, $+[0]);
    last if length $buffer < $head + $length;
    my ($id, $verb, @args) = decode(substr $buffer, $head, $length);
    substr($buffer, 0, $head + $length) = '';
    my $code = $VERB{$verb};
    if (!$code) { fail($id, "the agent knows no \"$verb\""); next }
    eval { $code->($id, @args); 1 } or fail($id, "$verb: $@");
  }
}

$SIG{PIPE} = 'IGNORE';
$SIG{$_} = \&leave for 'HUP', 'TERM', 'INT';
umask 022;
chdir '/';
watch(\*STDIN, sub { take_input() });
answer(0, 'ok', $>, ssh_connection());
while (1) {
  my $bits = '';
  vec($bits, $_, 1) = 1 for keys %watch;
  my $wait = @timers ? $timers[0][0] - now() : undef;
  $wait = 0 if defined $wait && $wait < 0;
  my $n = select $bits, undef, undef, $wait;
  if ($n > 0) { for my $fd (keys %watch) { if (vec($bits, $fd, 1) && $watch{$fd}) { $watch{$fd}[1]->() } } }
  while (@timers && $timers[0][0] <= now()) { (shift @timers)->[1]->() }
}
