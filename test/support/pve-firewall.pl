#!/usr/bin/perl
# Stands in for pve-firewall: "status" as Proxmox prints it, and a daemon that makes real iptables rules of cluster.fw every second,
# where Proxmox takes ten. It knows addresses, protocols and ports of rules, no groups, macros or ipsets.
use strict;
use warnings;

my $conf = '/etc/pve/firewall/cluster.fw';
my $applied = '/run/pve-firewall.applied';

sub slurp { my $path = shift; open my $fh, '<', $path or return ''; local $/; <$fh> }

sub restore {
  my ($family, @rules) = @_;
  open my $fh, '|-', $family eq 'ipv4' ? 'iptables-restore' : 'ip6tables-restore', '-n' or die;
  print $fh join "\n", '*filter', ':PVEFW-HOST-IN - [0:0]', ':PVEFW-INPUT - [0:0]',
    '-A PVEFW-INPUT -j PVEFW-HOST-IN', (map { "-A PVEFW-HOST-IN $_" } @rules), 'COMMIT', '';
  close $fh or die "$family: refused";
}

sub apply {
  my $text = shift;
  for my $family ('ipv4', 'ipv6') {
    my @rules = ('-i lo -j ACCEPT', '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT', '-p tcp --dport 22 -j RETURN');
    push @rules, $family eq 'ipv4' ? '-p igmp -j RETURN' : '-p ipv6-icmp --icmpv6-type 135 -j RETURN', '-p ipv6-icmp --icmpv6-type 136 -j RETURN';
    pop @rules if $family eq 'ipv4';
    for (split /\n/, $text) {
      my ($action, $rest) = /^IN (ACCEPT|DROP)([^#]*)/ or next;
      my $is6 = $rest =~ /-(?:source|dest) \S*:/;
      next if $rest =~ /-(?:source|dest) / && !!$is6 != ($family eq 'ipv6');
      $rest =~ s/-source/-s/; $rest =~ s/-dest/-d/; $rest =~ s/-dport/--dport/;
      push @rules, "$rest -j " . ($action eq 'ACCEPT' ? 'RETURN' : 'DROP');
    }
    restore($family, @rules, '-j DROP');
    my $tables = $family eq 'ipv4' ? 'iptables' : 'ip6tables';
    system "$tables -C INPUT -j PVEFW-INPUT 2>/dev/null || $tables -A INPUT -j PVEFW-INPUT";
  }
  open my $fh, '>', $applied or die;
  print $fh $text;
  close $fh;
}

my ($verb) = @ARGV;
if ($verb eq 'status') {
  print 'Status: enabled/running', slurp($conf) eq slurp($applied) ? '' : ' (pending changes)', "\n";
} elsif ($verb eq 'daemon') {
  while (1) { my $text = slurp($conf); apply($text) if $text ne slurp($applied); sleep 1 }
}
