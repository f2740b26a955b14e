import type { Dialect } from '../../formats/interfaces.ts';
import { commandValue, type OptionLine, type StanzaSetting, withCommand } from '../interfaces/stanza.ts';
import { isRoundedFrom, RINGS, type Ring, type WantedRing } from './rings.ts';

/** What the programs of a node can do with options of a stanza. */
export interface StanzaAbilities {
  readonly dialect: Dialect;
  /** Whether ifupdown2 is new enough to have `ring-rx` and `ring-tx`. */
  readonly hasRingOptions: boolean;
  /** Whether /etc/network/if-up.d/ethtool is there; ifupdown2 does not hand it the options (tried with 3.0.0). */
  readonly hasHook: boolean;
}

/** Between pre-up (1) and up (2) of commands: ifupdown2 sets its own attributes there. */
const ATTRIBUTE_PHASE = 1.5;
/** After all commands: scripts in if-up.d. */
const HOOK_PHASE = 4;

/** A ring as lines of a stanza give it. */
export function ringSetting(device: string, wanted: WantedRing, abilities: StanzaAbilities): StanzaSetting {
  const { ring, size, wish } = wanted;
  const option = ownOption(ring, abilities);
  const text = (key: string): string => (wish === 'max' && key === ring.ifupdown2 ? 'max' : String(size));
  const setWords = (words: readonly string[]): readonly string[] | undefined => {
    const sizes = readSet(words, device);
    if (sizes === undefined) return undefined;
    const changed = new Map([...sizes, [ring.ethtool, String(size)]]);
    return [...words.slice(0, 3), ...[...changed].flat()];
  };
  return {
    name: ring.name,
    to: size,
    read(line) {
      if (option !== undefined && normal(line.key) === option)
        return { value: sizeOf(line.value), phase: line.dialect === 'ifupdown2' ? ATTRIBUTE_PHASE : HOOK_PHASE };
      const value = commandValue(line, device, (words) => readSet(words, device)?.get(ring.ethtool));
      return value === undefined ? undefined : { value: sizeOf(String(value)), phase: line.phase };
    },
    isRight(value) {
      if (value === 'max') return size === wanted.maximum;
      return typeof value === 'number' && isRoundedFrom(value, size);
    },
    rewrite: (line) => (line.phase === 0 ? text(normal(line.key)) : withCommand(line, device, setWords)),
    extend(line) {
      // A command of one's own can take another ring, so that the link is lost once only.
      if (option !== undefined || commandValue(line, device, (words) => readSet(words, device)?.size) === undefined)
        return undefined;
      return withCommand(line, device, setWords);
    },
    added:
      option === undefined
        ? { key: 'post-up', value: `ethtool -G ${device} ${ring.ethtool} ${size} || true` }
        : { key: option, value: text(option) },
    remark: (line) => remark(line, ring, option, device),
  };
}

function ownOption(ring: Ring, abilities: StanzaAbilities): string | undefined {
  if (abilities.dialect === 'ifupdown2') return abilities.hasRingOptions ? ring.ifupdown2 : undefined;
  return abilities.hasHook ? ring.hook : undefined;
}

function remark(line: OptionLine, ring: Ring, option: string | undefined, device: string): string | undefined {
  const key = normal(line.key);
  if (key !== option && (key === ring.ifupdown2 || key === ring.hook))
    return `"${line.key} ${line.value}" does nothing with the ifupdown of this node`;
  const isSuspect =
    line.phase > 0 &&
    /ethtool\s.*(?:-G|--set-ring)/.test(line.value) &&
    commandValue(line, device, (words) => readSet(words, device)?.size ?? readOther(words)) === undefined;
  return isSuspect ? `"${line.key} ${line.value}" may set it too and is left alone` : undefined;
}

/** `ethtool -G DEVICE rx 512 …`: the sizes by ethtool's names; undefined where it is another command. */
function readSet(words: readonly string[], device: string): Map<string, string> | undefined {
  const [program = '', option, name, ...sizes] = words;
  if (!/^(?:\/usr)?(?:\/s?bin\/)?ethtool$/.test(program) || !/^(?:-G|--set-ring)$/.test(option ?? '')) return undefined;
  if (name !== device || sizes.length % 2 !== 0) return undefined;
  return new Map(Array.from({ length: sizes.length / 2 }, (_, at) => [sizes[2 * at] ?? '', sizes[2 * at + 1] ?? '']));
}

/** 0: the rings of another device. */
function readOther(words: readonly string[]): number | undefined {
  return /(?:^|\/)ethtool$/.test(words[0] ?? '') ? 0 : undefined;
}

function sizeOf(text: string): string | number {
  return /^\d{1,10}$/.test(text) ? Number(text) : text;
}

/** ifupdown and ifupdown2 take both spellings. */
function normal(key: string): string {
  const spelled = key.replaceAll('_', '-').toLowerCase();
  return RINGS.some(({ ifupdown2, hook }) => spelled === ifupdown2 || spelled === hook) ? spelled : key;
}
