# The probe: loaded into the agent when packets are to be sent. Joins a group once and stays joined, so that a membership that
# ages away shows; sends numbered packets to the group and, in the same breath, to every peer; counts what the peers sent.
# Needs perl-base alone.
package Agent;
use strict;
use Fcntl ();
use Socket ();

our (%VERB, $clock, %probe);
# Magic, token, run, sender, receiver, kind, sequence number, the sender's clock.
our $PACKET = 'a4 a8 N n n C x N d';
our $PACKET_BYTES = 34;
our ($WARM_UP, $MULTICAST, $UNICAST, $UNICAST_ECHO, $ECHO) = 0 .. 4;
our $ECHOES = 10;       # packets of a run that ask for an echo: enough for a median
our $BURST = 32;        # packets sent in one go when late: reading must not starve
our $MAX_SEQ = 4_000_000;

# Ends sending and collecting; whoever waits for it is told why.
sub probe_stop {
  my $why = shift;
  my @waiting = grep { $_ } $probe{send_timer} && $probe{sending}, $probe{collect} && $probe{collect}{id};
  cancel($_) for grep { $_ } delete @probe{'send_timer', 'collect_timer'};
  delete $probe{collect};
  fail($_, $why) for @waiting;
}

sub probe_close {
  for my $fh (grep { $_ } @probe{'unicast', 'multicast'}) { unwatch($fh); close $fh }
  probe_stop('the probe was stopped');
  %probe = ();
}

# All addresses of the node, by rtnetlink(7): { family, index, scope, flags, address }.
sub node_addresses {
  socket my $fh, 16, Socket::SOCK_RAW(), 0 or die "netlink: $!\n";
  defined send $fh, pack('L S S L L C4 L', 24, 22, 0x301, 1, 0, (0) x 5), 0 or die "netlink: $!\n";
  my @found;
  while (sysread $fh, my $bytes, 65536) {
    for (my $at = 0; $at + 16 <= length $bytes;) {
      my ($length, $type) = unpack 'L S', substr $bytes, $at, 6;
      return @found if $type != 20 || $length < 24;
      my ($family, undef, $flags, $scope, $index) = unpack 'C4 L', substr $bytes, $at + 16, 8;
      my %attribute;
      for (my $next = $at + 24; $next + 4 <= $at + $length;) {
        my ($size, $kind) = unpack 'S S', substr $bytes, $next, 4;
        last if $size < 4;
        $attribute{$kind} = substr $bytes, $next + 4, $size - 4;
        $next += ($size + 3) & ~3;
      }
      my $address = defined $attribute{2} ? $attribute{2} : $attribute{1};
      push @found, { family => $family, index => $index, scope => $scope, flags => $flags, address => $address }
        if defined $address;
      $at += ($length + 3) & ~3;
    }
  }
  @found;
}

sub device_request {
  my ($fh, $call, $request) = @_;
  ioctl $fh, $call, $request or return;
  $request;
}

sub device_names {
  my $table = slurp('/proc/net/dev') or return;
  grep { $_ ne 'lo' } $$table =~ /^\s*([^\s:]+):/mg;
}

# Text of an address as its packed form, and its family; an IPv4 address in IPv6's clothes is IPv4. Nothing where it is none.
sub packed {
  my $text = shift;
  $text =~ s/%.*//;
  $text =~ s/^::ffff:(?=\d+\.)//i;
  my $four = Socket::inet_pton(Socket::AF_INET(), $text);
  return ($four, Socket::AF_INET()) if defined $four;
  my $six = Socket::inet_pton(Socket::AF_INET6(), $text);
  defined $six ? ($six, Socket::AF_INET6()) : ();
}

sub socket_address {
  my ($family, $address, $port, $index) = @_;
  return Socket::pack_sockaddr_in($port, $address) if $family == Socket::AF_INET();
  # Link-local addresses and groups mean nothing without a device.
  my $is_local = $address =~ /^\xfe[\x80-\xbf]|^\xff.?[\x01\x02\x11\x12]/s;
  Socket::pack_sockaddr_in6($port, $address, $is_local ? $index : 0, 0);
}

# The address that routing would send from.
sub routed_address {
  my ($family, $group, $port) = @_;
  socket my $fh, $family, Socket::SOCK_DGRAM(), 0 or return;
  connect $fh, socket_address($family, $group, $port, 0) or return;
  my $name = getsockname $fh;
  $family == Socket::AF_INET() ? (Socket::unpack_sockaddr_in($name))[1] : (Socket::unpack_sockaddr_in6($name))[1];
}

# The device to join on: the one named, else the one that carries the SSH connection, else the one that routing picks, else
# the only one that has an address.
sub probe_device {
  my ($control, $wanted, $family, $group, $port) = @_;
  my @all = node_addresses();
  my ($index, $login);
  my (undef, undef, $here) = split ' ', ssh_connection();
  ($login) = packed($here) if defined $here && length $here;
  undef $login if defined $login && $login =~ /^\x7f...$|^\0{15}\x01$/s;
  if ($wanted ne '') {
    my $request = length $wanted < 16 ? device_request($control, 0x8933, pack 'a16 x24', $wanted) : undef;
    die "there is no device \"$wanted\"; there are: " . join(', ', device_names()) . "\n" if !$request;
    $index = unpack 'x16 i', $request;
  } else {
    for my $source ($login, routed_address($family, $group, $port)) {
      next if defined $index || !defined $source;
      ($index) = map { $_->{index} } grep { $_->{address} eq $source } @all;
    }
    for my $scope (0, 253) {
      last if defined $index;
      my %candidate = map { $_->{index} => 1 } grep { $_->{family} == $family && $_->{scope} == $scope } @all;
      ($index) = keys %candidate if keys %candidate == 1;
    }
    die "it is not clear which device to join on: name it with \"interface\"\n" if !defined $index;
  }
  my ($device) = unpack 'Z16', device_request($control, 0x8910, pack 'x16 i x20', $index) || $wanted;
  my $flags = unpack 'x16 S', device_request($control, 0x8913, pack 'a16 x24', $device) || pack 'x18';
  die "device \"$device\" is down: set it up, or name another with \"interface\"\n" if !($flags & 1);
  die "device \"$device\" does not do multicast (no MULTICAST flag): name another with \"interface\"\n" if !($flags & 0x1000);
  # Not: an address that is still being checked for duplicates, or was found to be one.
  my @own = grep { $_->{index} == $index && $_->{family} == $family && !($_->{flags} & 0x48) } @all;
  my ($own) = ((grep { defined $login && $_->{address} eq $login } @own), (grep { $_->{scope} == 0 && !($_->{flags} & 1) } @own), @own);
  my $version = $family == Socket::AF_INET() ? 'IPv4' : 'IPv6';
  die "device \"$device\" has no $version address to probe from: give it one, or name another with \"interface\"\n" if !$own;
  ($index, $device, $own->{address});
}

# Who has a UDP port, as " by omping (pid 42)"; "" where it can't be told.
sub port_holder {
  my $hex = sprintf '%04X', shift;
  my %inode;
  for my $table (grep { $_ } map { slurp("/proc/net/$_") } 'udp', 'udp6') {
    for (split /\n/, $$table) { my @field = split; $inode{"socket:[$field[9]]"} = 1 if @field > 9 && $field[1] =~ /:$hex$/ }
  }
  for my $link (glob '/proc/[0-9]*/fd/*') {
    my $to = readlink $link;
    next if !defined $to || !$inode{$to};
    my ($pid) = $link =~ m{/proc/(\d+)/};
    my $name = slurp("/proc/$pid/comm") || \'?';
    return sprintf ' by %s (pid %d)', $$name =~ /^(.*)$/m, $pid;
  }
  '';
}

sub probe_socket {
  my ($family, $address, $port, $index) = @_;
  socket my $fh, $family, Socket::SOCK_DGRAM(), 0 or die "socket: $!\n";
  fcntl $fh, Fcntl::F_SETFL(), Fcntl::O_NONBLOCK() or die "fcntl: $!\n";
  my $size = pack 'i', 4 << 20;
  setsockopt $fh, Socket::SOL_SOCKET(), 33, $size or setsockopt $fh, Socket::SOL_SOCKET(), Socket::SO_RCVBUF(), $size;
  if (!bind $fh, socket_address($family, $address, $port, $index)) {
    die "UDP port $port is in use" . port_holder($port) . ": choose another with \"port\"\n" if $!{EADDRINUSE};
    die "UDP port $port needs root: choose one above 1023\n" if $!{EACCES};
    die "UDP port $port: $!\n";
  }
  $fh;
}

sub probe_join {
  my ($family, $fh, $group, $index, $device, $text) = @_;
  my $is_four = $family == Socket::AF_INET();
  # What other programs of the node joined does not count, and neither does what comes in by another device.
  my ($level, $all, $join) = $is_four ? (0, 49, 35) : (41, 29, 20);
  setsockopt $fh, $level, $all, pack 'i', 0;
  setsockopt $fh, Socket::SOL_SOCKET(), 25, pack 'Z16', $device if !$is_four;
  return if setsockopt $fh, $level, $join, pack $is_four ? 'a4 x4 i' : 'a16 i', $group, $index;
  die "can't join $text on \"$device\": as many groups are joined as net.ipv4.igmp_max_memberships allows: raise it\n"
    if $!{ENOBUFS};
  die "can't join $text on \"$device\": $!\n";
}

# probe-open: group, port, device or "", ttl, token (16 hex digits). Answers own address, device and its index.
$VERB{'probe-open'} = sub {
  my ($id, $text, $port, $wanted, $ttl, $token) = @_;
  probe_close();
  fine_clock();
  my @answer = eval {
    my ($group, $family) = packed($text) or die "\"$text\" is no address\n";
    socket my $control, Socket::AF_INET(), Socket::SOCK_DGRAM(), 0 or die "socket: $!\n";
    my ($index, $device, $own) = probe_device($control, $wanted, $family, $group, $port);
    my $out = $probe{unicast} = probe_socket($family, $own, $port, $index);
    my $in = $probe{multicast} = probe_socket($family, $group, $port, $index);
    my @options = $family == Socket::AF_INET()
      ? ([0, 32, pack 'x8 i', $index], [0, 33, pack 'i', $ttl], [0, 34, pack 'i', 0])
      : ([41, 17, pack 'i', $index], [41, 18, pack 'i', $ttl], [41, 19, pack 'i', 0]);
    for (@options) { setsockopt $out, $_->[0], $_->[1], $_->[2] or die "socket option $_->[1]: $!\n" }
    probe_join($family, $in, $group, $index, $device, $text);
    @probe{qw(family index port token run count)} = ($family, $index, $port, pack('H16', $token), 0, {});
    $probe{group} = socket_address($family, $group, $port, $index);
    watch($in, sub { probe_take($in, $MULTICAST) });
    watch($out, sub { probe_take($out, $UNICAST) });
    (Socket::inet_ntop($family, $own), $device, $index);
  };
  return answer($id, 'ok', @answer) if @answer;
  chomp(my $why = $@);
  probe_close();
  fail($id, $why);
};

sub probe_take {
  my ($fh, $cast) = @_;
  for (1 .. 256) {
    my $from = recv $fh, my $packet, 256, 0;
    last if !defined $from;
    next if length $packet != $PACKET_BYTES;
    my ($magic, $token, $run, $sender, $receiver, $kind, $seq, $sent) = unpack $PACKET, $packet;
    next if $magic ne 'mcp1' || $token ne $probe{token} || $seq >= $MAX_SEQ;
    # A peer may have begun the next run before this node was told of it.
    next if $run < $probe{run} || $run > $probe{run} + 1 || $kind == $WARM_UP;
    next if ($kind == $MULTICAST) != ($cast == $MULTICAST);
    if ($kind == $ECHO) { push @{ $probe{rtt}{$receiver} }, now() - $sent if $run == $probe{run}; next }
    if ($kind == $UNICAST_ECHO) {
      send $fh, pack($PACKET, $magic, $token, $run, $sender, $receiver, $ECHO, $seq, $sent), 0, $from;
    }
    # Bits of what was seen, received, duplicates, out of order, lowest, highest.
    my $count = $probe{count}{$run}{$cast}{$sender} ||= ['', 0, 0, 0, $seq, $seq];
    if (vec $count->[0], $seq, 1) { $count->[2]++; next }
    vec($count->[0], $seq, 1) = 1;
    $count->[1]++;
    $count->[3]++ if $seq < $count->[5];
    $count->[4] = $seq if $seq < $count->[4];
    $count->[5] = $seq if $seq > $count->[5];
  }
  probe_collected() if $probe{collect} && probe_complete();
}

sub probe_send {
  my ($kind, $seq) = @_;
  my @head = ('mcp1', $probe{token}, $probe{run}, $probe{self});
  my $is_warm_up = $kind == $WARM_UP;
  my $echo = !$is_warm_up && $seq < $ECHOES ? $UNICAST_ECHO : $UNICAST;
  my @targets = ([0xffff, $probe{group}, $MULTICAST], map { [@$_, $echo] } @{ $probe{peers} });
  for (@targets) {
    my ($index, $address, $cast) = @$_;
    my $packet = pack $PACKET, @head, $index, $is_warm_up ? $WARM_UP : $cast, $seq, now();
    defined send $probe{unicast}, $packet, 0, $address or $probe{problem}{$index} ||= "$!";
  }
}

sub probe_tick {
  my $left = $BURST;
  while ($probe{next} < $probe{total} && $left--) {
    last if $probe{start} + $probe{next} * $probe{interval} > now();
    probe_send($MULTICAST, $probe{next}++);
  }
  if ($probe{next} < $probe{total}) {
    my $due = $probe{start} + $probe{next} * $probe{interval};
    my $soon = now() + 0.0005;
    $probe{send_timer} = at($due > $soon ? $due : $left >= 0 ? $due : $soon, \&probe_tick);
    return;
  }
  $probe{send_timer} = undef;
  answer($probe{sending}, 'ok', map { encode($_, $probe{problem}{$_}) } sort { $a <=> $b } keys %{ $probe{problem} });
}

# probe-run: number (counted up by one), own index, packets, milliseconds between two, warm-up packets, then index and address of
# each peer. Answers when the last packet is sent: index (65535: the group) and error of each target that could not be sent to.
$VERB{'probe-run'} = sub {
  my ($id, $run, $self, $total, $interval, $warm_ups, @peers) = @_;
  return fail($id, 'no probe is open') if !$probe{unicast};
  probe_stop('another run was begun');
  delete $probe{count}{$_} for grep { $_ < $run } keys %{ $probe{count} };
  my @targets;
  while (my ($index, $text) = splice @peers, 0, 2) {
    my ($address, $family) = packed($text);
    return fail($id, "\"$text\" is no address of the group's family") if !$family || $family != $probe{family};
    push @targets, [$index, socket_address($family, $address, $probe{port}, $probe{index})];
  }
  @probe{qw(run self total interval next peers rtt problem sending)} =
    ($run, $self, $total, $interval / 1000, 0, \@targets, {}, {}, $id);
  for (1 .. $warm_ups) { probe_send($WARM_UP, 0) }
  $probe{start} = now() + ($warm_ups ? 0.02 : 0);
  $probe{send_timer} = at($probe{start}, \&probe_tick);
};

sub probe_complete {
  my $collect = $probe{collect};
  my $count = $probe{count}{ $probe{run} };
  for my $index (@{ $collect->{awaited} }) {
    for my $cast ($MULTICAST, $UNICAST) {
      my $seen = $count->{$cast}{$index} or return 0;
      return 0 if $seen->[1] < $probe{total};
    }
    return 0 if !$probe{rtt}{$index};
  }
  1;
}

# The most packets in a row that are missing between the first and the last that arrived.
sub longest_gap {
  my ($bits, $received, undef, undef, $first, $last) = @{ $_[0] };
  return 0 if $received == $last - $first + 1;
  my ($longest, $previous) = (0, $first);
  for my $seq ($first .. $last) {
    next if !vec $bits, $seq, 1;
    $longest = $seq - $previous - 1 if $seq - $previous - 1 > $longest;
    $previous = $seq;
  }
  $longest;
}

sub median_ms {
  my @sorted = sort { $a <=> $b } @_;
  return '' if !@sorted || !$clock;
  my $middle = @sorted >> 1;
  sprintf '%.3f', 1000 * (@sorted & 1 ? $sorted[$middle] : ($sorted[$middle - 1] + $sorted[$middle]) / 2);
}

sub probe_collected {
  my $collect = delete $probe{collect};
  cancel(delete $probe{collect_timer});
  my $count = $probe{count}{ $probe{run} };
  my @rows = map {
    my $index = $_;
    my @casts = map { my $seen = $count->{$_}{$index}; $seen ? (@$seen[1 .. 5], longest_gap($seen)) : (0, 0, 0, '', '', 0) } $MULTICAST, $UNICAST;
    encode($index, @casts, median_ms(@{ $probe{rtt}{$index} || [] }));
  } @{ $collect->{peers} };
  answer($collect->{id}, 'ok', @rows);
}

# probe-collect: run, milliseconds to wait at most, then index and 1 or 0 for each peer: whether all its packets are waited for.
# Answers for each peer: index, then received, duplicates, out of order, lowest and highest sequence number, longest gap of
# multicast and of unicast, median round trip in ms.
$VERB{'probe-collect'} = sub {
  my ($id, $run, $linger, @peers) = @_;
  return fail($id, "run $run is not the one under way") if !$probe{unicast} || $run != $probe{run};
  return fail($id, "run $run is being collected") if $probe{collect};
  my (@all, @awaited);
  while (my ($index, $is_awaited) = splice @peers, 0, 2) { push @all, $index; push @awaited, $index if $is_awaited }
  $probe{collect} = { id => $id, peers => \@all, awaited => \@awaited };
  $probe{collect_timer} = at(now() + $linger / 1000, \&probe_collected);
  probe_collected() if probe_complete();
};

$VERB{'probe-close'} = sub { my $id = shift; probe_close(); answer($id, 'ok') };
