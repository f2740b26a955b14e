/**
 * The keywords of ssh_config(5) that OpenSSH takes, in lower case: current ones, those it still takes and ignores, and
 * those of Debian's GSSAPI patch. A word that is not here is a mistake, as it is for OpenSSH, unless IgnoreUnknown names it.
 */
export const CONFIG_KEYWORDS: readonly string[] = `
addkeystoagent addressfamily batchmode bindaddress bindinterface canonicaldomains canonicalizefallbacklocal
canonicalizehostname canonicalizemaxdots canonicalizepermittedcnames casignaturealgorithms certificatefile
challengeresponseauthentication channeltimeout checkhostip ciphers clearallforwardings compression compressionlevel
connectionattempts connecttimeout controlmaster controlpath controlpersist dynamicforward enableescapecommandline
enablesshkeysign escapechar exitonforwardfailure fingerprinthash forkafterauthentication forwardagent forwardx11
forwardx11timeout forwardx11trusted gatewayports globalknownhostsfile gssapiauthentication gssapiclientidentity
gssapidelegatecredentials gssapikexalgorithms gssapikeyexchange gssapirenewalforcesrekey gssapiserveridentity
gssapitrustdns hashknownhosts host hostbasedacceptedalgorithms hostbasedauthentication hostbasedkeytypes
hostkeyalgorithms hostkeyalias hostname identitiesonly identityagent identityfile ignoreunknown include ipqos
kbdinteractiveauthentication kbdinteractivedevices kexalgorithms knownhostscommand localcommand localforward loglevel
logverbose macs match nohostauthenticationforlocalhost numberofpasswordprompts obscurekeystroketiming
passwordauthentication permitlocalcommand permitremoteopen pkcs11provider port preferredauthentications proxycommand
proxyjump proxyusefdpass pubkeyacceptedalgorithms pubkeyacceptedkeytypes pubkeyauthentication refuseconnection rekeylimit
remotecommand remoteforward requesttty requiredrsasize revokedhostkeys securitykeyprovider sendenv serveralivecountmax
serveraliveinterval sessiontype setenv smartcarddevice stdinnull streamlocalbindmask streamlocalbindunlink
stricthostkeychecking syslogfacility tag tcpkeepalive tunnel tunneldevice updatehostkeys user userknownhostsfile
verifyhostkeydns versionaddendum visualhostkey warnweakcrypto xauthlocation
afstokenpassing cipher dsaauthentication fallbacktorsh globalknownhostsfile2 identityfile2 keepalive
kerberosauthentication kerberostgtpassing protocol protocolkeepalives pubkeyauthentication rhostsauthentication
rhostsrsaauthentication rsaauthentication setuptimeout skeyauthentication tisauthentication useblacklistedkeys
useprivilegedport userknownhostsfile2 useroaming usersh`
  .trim()
  .split(/\s+/);

/** Keywords that Apple's OpenSSH adds. */
export const APPLE_KEYWORDS: readonly string[] = ['usekeychain'];

/** Keywords whose value is the rest of the line, as it stands: a command. */
export const COMMAND_KEYWORDS: ReadonlySet<string> = new Set([
  'proxycommand',
  'localcommand',
  'remotecommand',
  'knownhostscommand',
]);

const YES_NO = /^(?:yes|no|true|false)$/i;
const TIME = /^(?:none|(?:\d+[smhdw]?)+)$/i;

/** How the value of a keyword that is used here must look, and how to say so. */
const VALUE_FORMS: Readonly<Record<string, { readonly form: RegExp; readonly expected: string }>> = {
  port: { form: /^\d+$/, expected: 'a port number, 1 to 65535' },
  identitiesonly: { form: YES_NO, expected: 'yes or no' },
  pubkeyauthentication: { form: /^(?:yes|no|true|false|unbound|host-bound)$/i, expected: 'yes or no' },
  passwordauthentication: { form: YES_NO, expected: 'yes or no' },
  kbdinteractiveauthentication: { form: YES_NO, expected: 'yes or no' },
  hashknownhosts: { form: YES_NO, expected: 'yes or no' },
  connecttimeout: { form: TIME, expected: 'a time such as "10" or "1m"' },
  serveraliveinterval: { form: TIME, expected: 'a time such as "15"' },
  serveralivecountmax: { form: /^\d+$/, expected: 'a number' },
  addressfamily: { form: /^(?:any|inet|inet6)$/i, expected: 'any, inet or inet6' },
  stricthostkeychecking: {
    form: /^(?:yes|no|true|false|off|ask|accept-new)$/i,
    expected: 'yes, no, ask, off or accept-new',
  },
};

/** Why `value` can't stand after `keyword` (lower case), or undefined where it can. */
export function checkKeywordValue(keyword: string, value: string): string | undefined {
  const rule = VALUE_FORMS[keyword];
  const isPort = keyword === 'port' && rule?.form.test(value) === true;
  const isValid = rule === undefined || (isPort ? Number(value) >= 1 && Number(value) <= 65535 : rule.form.test(value));
  return isValid ? undefined : `${keyword} must be ${rule?.expected}, not "${value}"`;
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Milliseconds of a time of sshd_config(5), TIME FORMATS (`90`, `1m30s`), or undefined for `none` and for 0. */
export function parseTimeMs(text: string): number | undefined {
  if (/^none$/i.test(text)) return undefined;
  let seconds = 0;
  for (const [, amount, unit] of text.toLowerCase().matchAll(/(\d+)([smhdw]?)/g)) {
    seconds += Number(amount) * (SECONDS[unit || 's'] ?? 1);
  }
  return seconds > 0 ? seconds * 1000 : undefined;
}
