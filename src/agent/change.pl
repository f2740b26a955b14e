# The part of the agent that changes a node, sent when something is to be changed: reading does without its modules.
package Agent;
use strict;
use Fcntl ();
our %VERB;

$VERB{run} = sub {
  my ($id, $seconds, $input, @argv) = @_;
  run_child(\@argv, $input, $seconds, sub { answer($id, 'ok', @_) });
};

# set: a value of /proc or /sys, in one write, as the kernel wants it.
$VERB{set} = sub {
  my ($id, $path, $value) = @_;
  sysopen my $fh, $path, Fcntl::O_WRONLY() | Fcntl::O_TRUNC() or return fail($id, "$path: $!", $! + 0);
  defined syswrite $fh, $value or return fail($id, "$path: $!", $! + 0);
  close $fh or return fail($id, "$path: $!", $! + 0);
  answer($id, 'ok');
};

sub sync_handle { require IO::Handle; IO::Handle::sync($_[0]) }

sub sync_dir { my $path = shift; if (open my $fh, '<', $path) { sync_handle($fh) } }

# Where a path leads: a link is followed, so that what is replaced is the file and not the link.
sub resolve {
  my $path = shift;
  for (1 .. 20) {
    my $target = readlink $path;
    return $path if !defined $target;
    (my $dir = $path) =~ s{[^/]*$}{};
    $path = $target =~ m{^/} ? $target : "$dir$target";
  }
  $path;
}

# is_file: whether a file has just these bytes; as_expected: whether it still is what the plan was made for ("none", or "file" and
# its bytes).
sub is_file { my ($kind, undef, $now) = read_file($_[0]); $kind eq 'file' && $now eq $_[1] }

sub as_expected {
  my ($path, $state, $text) = @_;
  $state eq 'file' ? is_file($path, $text) : (read_file($path))[0] eq $state;
}

# Beside the file, named for this node: a file of a cluster file system may be written by several nodes at once.
sub temporary_beside {
  my ($dir, $name) = @_;
  my $host = slurp('/proc/sys/kernel/hostname');
  (my $node = $host ? $$host : '') =~ tr/A-Za-z0-9.-//cd;
  "$dir.$name.$node.mcastctl-tmp";
}

# give_owner_and_mode: what is so already is not asked for. pmxcfs (/etc/pve) has one owner and one mode for all files of a folder,
# and says EPERM to any other.
sub give_owner_and_mode {
  my ($path, $uid, $gid, $mode) = @_;
  my @now = stat $path or return 0;
  if ($now[4] != $uid || $now[5] != $gid) {
    chown $uid, $gid, $path or return 0;
    @now = stat $path or return 0;
  }
  ($now[2] & 07777) == $mode || chmod $mode, $path;
}

# give_mode: to a new file. Where the file system does not let us choose, less than what was wanted will do.
sub give_mode {
  my ($path, $mode) = @_;
  return 1 if chmod $mode, $path;
  my $errno = $!;
  my @now = stat $path;
  return 1 if @now && ($now[2] & 07777 & ~$mode) == 0;
  $! = $errno;
  0;
}

# write: path, mode of a new file (octal), "MODE UID GID" that it shall have whatever it has ("-": as it is), the state expected, the
# bytes expected, the new bytes, then encoded programs that must accept the new file, "%s" its temporary path. Old or new at any instant: a file beside it, synced, renamed over it.
$VERB{write} = sub {
  my ($id, $path, $mode, $attributes, $state, $expected, $text, @validate) = @_;
  if (!as_expected($path, $state, $expected)) {
    # Someone did the same: another node, where all nodes of a cluster see one file.
    return $attributes !~ /\d/ && is_file($path, $text) ? answer($id, 'ok') : fail($id, "$path: has changed since it was read", 'CHANGED');
  }
  my $real = resolve($path);
  my ($dir, $name) = $real =~ m{^(.*/)([^/]+)$} or return fail($id, "$path: not an absolute path");
  # A drop-in may be the first of its folder.
  if (!-d $dir) { mkdir $dir, 0755 or return fail($id, "$dir: $!", $! + 0) }
  return fail($id, "$path: leads to $real, which is no regular file") if -e $real && !-f _;
  my $temporary = temporary_beside($dir, $name);
  unlink $temporary;
  sysopen my $fh, $temporary, Fcntl::O_WRONLY() | Fcntl::O_CREAT() | Fcntl::O_EXCL(), 0600
    or return fail($id, "$temporary: $!", $! + 0);
  my $give_up = sub { my $why = "$real: $!"; my $errno = $! + 0; close $fh; unlink $temporary; fail($id, $why, $errno) };
  my $at = 0;
  while ($at < length $text) {
    my $n = syswrite $fh, $text, length($text) - $at, $at;
    return $give_up->() if !defined $n;
    $at += $n;
  }
  my $finish;
  my ($wanted_mode, $uid, $gid) = split / /, $attributes;
  my $own = sub {
    # chown first: it clears the set-id bits.
    if ($uid ne '-' || $gid ne '-') {
      chown $uid eq '-' ? -1 : $uid, $gid eq '-' ? -1 : $gid, $temporary or return $give_up->();
    }
    if ($wanted_mode ne '-') { chmod oct $wanted_mode, $temporary or return $give_up->() }
    $finish->();
  };
  $finish = sub {
    if (@validate) {
      my @argv = map { $_ eq '%s' ? $temporary : $_ } decode(shift @validate);
      return run_child(\@argv, '', 30, sub {
        my ($code, $signal, $out, $err, $problem) = @_;
        return $finish->() if $code eq '0' && $problem eq '';
        unlink $temporary;
        my $why = $problem || ($err =~ /\S/ ? $err : $out) || "exit code $code";
        $why =~ s/\s+$//;
        fail($id, "$real: the new text was refused by \"$argv[0]\": " . substr($why, 0, 2000), 'INVALID');
      });
    }
    utime undef, undef, $temporary;
    sync_handle($fh) or return $give_up->();
    close $fh or return $give_up->();
    rename $temporary, $real or return $give_up->();
    sync_dir($dir);
    answer($id, 'ok');
  };
  if ($state eq 'none') { give_mode($temporary, oct $mode) or return $give_up->(); return $own->() }
  # cp carries owner, mode, ACLs and the SELinux label over.
  run_child(['cp', '--attributes-only', '--preserve=all', '--', $real, $temporary], '', 10, sub {
    if ($_[0] ne '0') {
      my @stat = stat $real or return $give_up->();
      give_owner_and_mode($temporary, @stat[4, 5], $stat[2] & 07777) or return $give_up->();
    }
    $own->();
  });
};

$VERB{remove} = sub {
  my ($id, $path, $state, $expected) = @_;
  my $is_gone = as_expected($path, 'none');
  $is_gone || as_expected($path, $state, $expected) or return fail($id, "$path: has changed since it was read", 'CHANGED');
  if (!$is_gone) {
    unlink $path or return fail($id, "$path: $!", $! + 0);
    (my $dir = $path) =~ s{[^/]*$}{};
    sync_dir($dir);
  }
  answer($id, 'ok');
};
