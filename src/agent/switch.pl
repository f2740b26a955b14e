# The part of the agent that keeps the dead-man's switch, sent before the first change: see undo.pl.
package Agent;
use strict;
our %VERB;
our ($switch_root, $armed, $armed_until, %busy);

sub spit {
  my ($path, $text) = @_;
  open my $fh, '>', "$path.new" or die "$path: $!\n";
  binmode $fh;
  print $fh $text or die "$path: $!\n";
  sync_handle($fh) or die "$path: $!\n";
  close $fh or die "$path: $!\n";
  rename "$path.new", $path or die "$path: $!\n";
}

# Dies with a message; $! is the reason afterwards.
sub make_dirs {
  my $path = '';
  for my $part (split m{/}, substr shift, 1) {
    $path .= "/$part";
    next if mkdir $path, 0700;
    my $why = $! + 0;
    next if -d $path;
    $! = $why;
    die "$path: $!\n";
  }
}

# lock: root, about, seconds to wait, seconds of silence after which this agent ends. One run changes a node at a time. The kernel
# lets go of the lock when its holder ends, however that is; a holder that hears nothing from its controller ends itself.
our ($lock, $lock_path, $lock_about, $lock_silence, $heard);
$VERB{lock} = sub {
  my ($id, $root, $about, $patience, $silence) = @_;
  $lock_path = "$root/lock";
  my $until = now() + $patience;
  my $try;
  $try = sub {
    eval { make_dirs($root); 1 } or do { my $errno = $! + 0; chomp(my $why = $@); return fail($id, $why, $errno) };
    # The one who had it may just be taking its folder away.
    sysopen my $fh, $lock_path, Fcntl::O_RDWR() | Fcntl::O_CREAT(), 0600
      or return $! == ENOENT && now() < $until + 1 ? $try->() : fail($id, "$lock_path: $!", $! + 0);
    if (flock $fh, 6) {
      # Removed by the one who held it: another file has that name now, or none.
      my ($mine, $there) = ((stat $fh)[1], (stat $lock_path)[1]);
      return $try->() if !defined $there || $mine != $there;
      ($lock, $lock_about, $lock_silence, $heard) = ($fh, $about, $silence, now());
      sign_lock();
      my $look;
      $look = sub { now() - $heard > $silence ? leave() : at(now() + 1, $look) };
      at(now() + 1, $look);
      undef $try;
      return answer($id, 'ok');
    }
    sysread $fh, my $text, 4096;
    my ($pid, $last, $patient, $holder) = split /\n/, defined $text ? $text : '', 4;
    # Stopped, or hung in the kernel: it can't even end itself.
    if (($patient || '') =~ /^[\d.]+$/ && now() - $last > $patient + 5 && is_agent($pid)) { kill 'KILL', $pid }
    if (now() >= $until) {
      undef $try;
      return fail($id, 'another run works on this node: ' . ($holder || 'it has just begun'), 'LOCKED');
    }
    at(now() + 0.3, $try);
  };
  $try->();
};

$VERB{unlock} = sub {
  my ($id) = @_;
  if ($lock) { unlink $lock_path; close $lock; undef $lock; ($lock_path) = $lock_path =~ m{^(.*)/}; rmdir $lock_path }
  answer($id, 'ok');
};

# Who has the lock and when it was heard last, for those who wait.
sub sign_lock {
  sysseek $lock, 0, 0;
  truncate $lock, 0;
  syswrite $lock, "$$\n$heard\n$lock_silence\n$lock_about";
}

sub is_agent { my $command = slurp("/proc/$_[0]/cmdline") or return 0; $$command =~ /^perl\0-e\0/ }

$VERB{ping} = sub { sign_lock() if $lock; answer($_[0], 'ok') };

{
  my $take = \&take_input;
  no warnings 'redefine';
  *take_input = sub { $heard = now() if defined $heard; $take->() };
}

# leftovers: root folder, and for one who has no lock the one task that is asked for. Takes back what an earlier run left armed: whoever
# has the lock knows that no such run is left. Tells what was taken back: an encoded [id, about, result, how] each. The records are gone then.
$VERB{leftovers} = sub {
  my ($id, $root, $only) = @_;
  my $boot = slurp('/proc/sys/kernel/random/boot_id');
  my $is_ours = sub { defined $only ? $_[0] eq $only : 1 };
  # Half made, or half removed.
  if ($lock) { remove_tree("$root/armed/$_") for grep { /^\.[^.]/ } entries("$root/armed") }
  for my $name ($lock ? names("$root/undone") : ()) {
    rename "$root/undone/$name/again", "$root/undone/$name/marks" or next;
    rename "$root/undone/$name", "$root/armed/$name" if mkdir("$root/armed", 0700) || -d "$root/armed";
  }
  my @given_up;
  my $until = now() + 120;
  my $next;
  $next = sub {
    for my $name (grep { $is_ours->($_) } names("$root/undoing"), names("$root/armed")) {
      next if grep { $_ eq $name } @given_up;
      my ($dir) = grep { -d } "$root/undoing/$name", "$root/armed/$name" or next;
      if (alive($dir)) {
        # Without the lock the run may be at work, or its other nodes wait for the same moment.
        if (!$lock || now() > $until) { push @given_up, $name; next }
        # Its program waits for a time that nobody renews any more.
        if ($dir eq "$root/armed/$name" && !-e "$dir/early") { eval { spit("$dir/early", ''); spit("$dir/deadline", 0) } }
        return at(now() + 0.05, $next);
      }
      rename $dir, "$root/armed/$name" or next;
      $dir = "$root/armed/$name";
      my $then = slurp("$dir/boot");
      if ($boot && $then && $$then eq $$boot) { eval { spit("$dir/early", '') } }
      push @given_up, $name;
      return run_child(['perl', "$dir/undo.pl", $dir, 'now'], '', 120, sub { $next->() });
    }
    my @told;
    for my $name (grep { $is_ours->($_) } names("$root/undone")) {
      my $dir = "$root/undone/$name";
      my ($about, $result, $then) = map { my $text = slurp("$dir/$_"); $text ? $$text : '' } 'about', 'result', 'boot';
      push @told, encode($name, $about, $result, $boot && $then ne $$boot ? 'reboot' : -e "$dir/early" ? 'early' : 'time');
      remove_tree($dir);
    }
    my $is_left = grep { $is_ours->($_) } names("$root/undoing"), names("$root/armed");
    # Of a run whose agent was killed: nobody holds it any more.
    my $is_free = $lock || !-e "$root/lock";
    if (!$lock && open my $fh, '+<', "$root/lock") { $is_free = unlink "$root/lock" if flock $fh, 6 }
    remove_root($root) if $is_free;
    undef $next;
    return fail($id, 'an earlier task is not taken back yet: see ' . $root, 'SWITCH') if $is_left && ($lock || defined $only);
    answer($id, 'ok', @told);
  };
  $next->();
};

sub entries { my $path = shift; opendir my $dir, $path or return; sort readdir $dir }

sub names { grep { !/^\./ } entries(@_) }

# Whether the program that watches a folder still runs, and is that program and not another one of its number.
sub alive {
  my $dir = shift;
  my $pid = slurp("$dir/pid") or return 0;
  $$pid =~ /^(\d+)$/ or return 0;
  my $command = slurp("/proc/$1/cmdline") or return 0;
  index($$command, 'undo.pl') >= 0;
}

# Folders that an armed task needs stay as long as there is one.
sub remove_root {
  my $root = shift;
  return if !rmdir("$root/armed") && -d "$root/armed";
  rmdir "$root/$_" for 'undoing', 'undone';
  rmdir $root;
}

sub remove_tree {
  my $dir = shift;
  unlink map { "$dir/files/$_" } names("$dir/files");
  rmdir "$dir/files";
  unlink map { "$dir/$_" } names($dir);
  rmdir $dir;
}

# arm: root, name, about, seconds, the program, then encoded records: ["file", path], ["u" or "k", "set", path, value],
# ["u" or "k", "run", seconds, input, argv...]. u is what takes back running values, k what takes back programs of keep.
$VERB{arm} = sub {
  my ($id, $root, $name, $about, $seconds, $program, @records) = @_;
  # All that the node needs later is made now: then the disk may be full.
  my $dir = "$root/armed/.$name";
  eval {
    make_dirs("$root/$_") for 'armed', 'undoing', 'undone';
    for ($dir, "$dir/files") { mkdir $_, 0700 or die "$_: $!\n" }
    1;
  } or do { chomp(my $why = $@); remove_tree($dir); remove_root($root); return fail($id, "the switch can't be armed: $why", 'SWITCH') };
  my (@undo, @copies);
  for my $record (@records) {
    my ($part, $path, @rest) = decode($record);
    if ($part ne 'file') { push @undo, $record; next }
    my $real = resolve($path);
    if (!-e $real) { push @undo, encode('file', $real, ''); next }
    push @copies, ['cp', '-a', '--', $real, "$dir/files/" . scalar @copies];
    push @undo, encode('file', $real, $#copies);
  }
  my $give_up = sub { my $why = shift; remove_tree($dir); remove_root($root); fail($id, "the switch can't be armed: $why", 'SWITCH') };
  my $finish = sub {
    my $boot = slurp('/proc/sys/kernel/random/boot_id');
    eval {
      spit("$dir/undo", encode(@undo));
      spit("$dir/undo.pl", $program);
      spit("$dir/about", $about);
      spit("$dir/boot", $boot ? $$boot : '');
      spit("$dir/marks", '');
      spit("$dir/reserve", ' ' x 4096);
      spit("$dir/deadline", now() + $seconds);
      rename $dir, "$root/armed/$name" or die "$!\n";
      sync_dir("$root/armed");
      1;
    } or do { chomp(my $why = $@); return $give_up->($why) };
    $dir = "$root/armed/$name";
    watch_over($dir, sub {
      my $problem = shift;
      return $give_up->($problem) if defined $problem;
      ($armed, $switch_root, $armed_until) = ($dir, $root, now() + $seconds);
      answer($id, 'ok');
    });
  };
  my $copy;
  $copy = sub {
    my $argv = shift @copies or do { undef $copy; return $finish->() };
    run_child($argv, '', 30, sub { $_[0] eq '0' ? $copy->() : $give_up->($_[3] || $_[4] || 'cp failed') });
  };
  $copy->();
};

# Starts the program that watches: under systemd as a unit of its own, since a login's processes may be killed with it.
sub watch_over {
  my ($dir, $done) = @_;
  my ($name) = $dir =~ m{([^/]+)$};
  my @argv = ('perl', "$dir/undo.pl", $dir, 'wait');
  my $wait;
  my $until = now() + 10;
  $wait = sub {
    my $problem = shift;
    return $done->($problem) if defined $problem;
    return $done->(undef) if -e "$dir/pid";
    return $done->('the program that watches does not start') if now() > $until;
    at(now() + 0.02, $wait);
  };
  my $detach = sub {
    my $pid = fork;
    return $wait->("fork: $!") if !defined $pid;
    if (!$pid) {
      require POSIX;
      POSIX::setsid();
      exit 0 if fork;
      open STDIN, '<', '/dev/null'; open STDOUT, '>', '/dev/null'; open STDERR, '>', '/dev/null';
      POSIX::close($_) for 3 .. 63;
      { no warnings; exec { $argv[0] } @argv; }
      POSIX::_exit(127);
    }
    waitpid $pid, 0;
    $wait->();
  };
  return $detach->() if !-d '/run/systemd/system';
  run_child(['systemd-run', '--quiet', '--collect', "--unit=mcastctl-undo-$name", '--', @argv], '', 20,
    sub { $_[0] eq '0' ? $wait->() : $detach->() });
}

# mark: a part of the task is begun: running values (u), programs of keep (k), files (f). left: these parts alone are to be taken back
# still. renew: seconds from now.
$VERB{mark} = sub {
  my ($id, $part) = @_;
  still_armed($id) or return;
  my $marks = slurp("$armed/marks");
  eval { spit("$armed/marks", ($marks ? $$marks : '') . $part); 1 } ? answer($id, 'ok') : fail($id, $@, 'SWITCH');
};
$VERB{left} = sub {
  my ($id, $parts) = @_;
  still_armed($id) or return;
  eval { spit("$armed/marks", $parts); spit("$armed/deadline", 0); 1 } ? answer($id, 'ok') : fail($id, $@, 'SWITCH');
};
$VERB{renew} = sub {
  my ($id, $seconds) = @_;
  still_armed($id) or return;
  eval { spit("$armed/deadline", now() + $seconds); $armed_until = now() + $seconds; 1 } ? answer($id, 'ok') : fail($id, $@, 'SWITCH');
};

sub still_armed {
  my $id = shift;
  return 1 if defined $armed && -d $armed && now() < $armed_until;
  fail($id, 'the node has taken the task back by itself, since nothing was heard in time', 'UNDONE');
  0;
}

# disarm: the task is done, or taken back by the controller.
$VERB{disarm} = sub {
  my ($id) = @_;
  still_armed($id) or return;
  (my $off = $armed) =~ s{/armed/}{/armed/.off-};
  if (!rename $armed, $off) { undef $armed; return fail($id, 'the node has taken the task back by itself', 'UNDONE') }
  undef $armed;
  remove_tree($off);
  remove_root($switch_root);
  answer($id, 'ok');
};

# While the switch is armed a step holds its lock, and none begins once the node has claimed the task.
for my $verb ('run', 'set', 'write', 'remove') {
  my $step = $VERB{$verb};
  $VERB{$verb} = sub {
    my ($id, @args) = @_;
    return $step->(@_) if !defined $armed;
    still_armed($id) or return;
    # Gone between the two looks: taken back by the node.
    open my $lock, '>>', "$armed/busy" or return still_armed($id) && fail($id, "$armed/busy: $!", $! + 0);
    flock $lock, 2;
    still_armed($id) or return;
    # Who is at work, for the program that watches.
    truncate $lock, 0;
    syswrite $lock, $$;
    $busy{$id} = $lock;
    $step->(@_);
  };
}
# Who has lost its controller lets the step that is under way end before it leaves: a program that is killed half-way may leave more
# behind than one that ends (corosync takes no reload any more when corosync-cfgtool is killed in the middle of one).
my $leave = \&leave;
{
  no warnings 'redefine';
  *leave = sub {
    return $leave->() if !defined $armed || !%child;
    unwatch(\*STDIN);
    at(now() + 90, $leave);
  };
}
$SIG{$_} = sub { leave() } for 'HUP', 'TERM', 'INT';
my $answer = \&answer;
{ no warnings 'redefine'; *answer = sub { delete $busy{$_[0]}; $answer->(@_) } }
1;
