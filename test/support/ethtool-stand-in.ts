/**
 * A stand-in for ethtool, as no NIC with rings can exist in a namespace: it keeps the sizes of "ens4" in a file, rounds up to 32 as
 * vmxnet3 does, refuses what the real one refuses with its words, and hands every other device to the real ethtool.
 */
export const ETHTOOL_STAND_IN = `#!/usr/bin/perl
# Stand-in of a test for ethtool(8): "ens4" has rings here.
my ($option, $device, %wanted) = @ARGV;
exec '/usr/sbin/ethtool', @ARGV if $device ne 'ens4' || $option !~ /^(?:-[gG]|--(?:set|show)-ring)$/;
my %size = (rx => 1024, 'rx-mini' => 0, 'rx-jumbo' => 512, tx => 512);
my %most = (rx => 4096, 'rx-mini' => 0, 'rx-jumbo' => 4096, tx => 4096);
my $state = '/run/ethtool-stand-in';
if (open my $file, '<', $state) { local $/; %size = (%size, split ' ', <$file>) }
if ($option =~ /^(?:-g|--show-ring)$/) {
  sub block { my %of = @_; "RX:\\t\\t$of{rx}\\nRX Mini:\\t$of{'rx-mini'}\\nRX Jumbo:\\t$of{'rx-jumbo'}\\nTX:\\t\\t$of{tx}\\n" }
  print "Ring parameters for ens4:\\nPre-set maximums:\\n", block(%most), "Current hardware settings:\\n", block(%size);
  exit 0;
}
for (keys %wanted) {
  if (!exists $most{$_} || $wanted{$_} !~ /^\\d+$/) { print STDERR "ethtool: bad command line argument(s)\\n"; exit 1 }
  if ($wanted{$_} > $most{$_}) { print STDERR "netlink error: requested ring size exceeds maximum\\n"; exit 81 }
  $size{$_} = 32 * int(($wanted{$_} + 31) / 32);
}
open my $file, '>', $state or die "$state: $!";
print $file join ' ', %size;
`;
