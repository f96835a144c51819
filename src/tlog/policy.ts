// Which witnesses have to have cosigned a checkpoint (C2SP tlog-policy). Names are opaque and case-sensitive.
import { TlogError } from './errors.ts';
import { sameKey } from './note.ts';
import { decodeText } from './text.ts';
import { parseVkey, type SignatureType, type VerifierKey } from './vkey.ts';

export interface PolicyLog {
  readonly key: VerifierKey;
  readonly url: string | undefined;
}

export interface PolicyWitness {
  /** What the policy calls it; the key has a name of its own. */
  readonly name: string;
  /** Of type cosignature/v1. */
  readonly key: VerifierKey;
  /** Its submission prefix (C2SP tlog-witness), where one is given. */
  readonly url: string | undefined;
}

/** A witness, or how many of which members make a group. */
type Rule =
  | { readonly kind: 'witness'; readonly key: VerifierKey }
  | { readonly kind: 'group'; readonly threshold: number; readonly members: readonly Rule[] };

export interface WitnessPolicy {
  readonly logs: readonly PolicyLog[];
  readonly witnesses: readonly PolicyWitness[];
  /** Undefined for `quorum none`: no cosignature is asked for. */
  readonly quorum: Rule | undefined;
}

/** The specification asks for 32 of each at least; more than this is a mistake. */
const MAX_LINES = 10_000;
const NONE = 'none';

/** Reads a policy file. Throws POLICY_MALFORMED, which names the line. */
export function parsePolicy(file: string | Uint8Array): WitnessPolicy {
  const text = decodeText(file);
  if (text === undefined) throw new TlogError('POLICY_MALFORMED', 'the policy is not UTF-8');
  const reader = new PolicyReader();
  const lines = text.split('\n');
  if (lines.length > MAX_LINES) throw new TlogError('POLICY_MALFORMED', `the policy has more than ${MAX_LINES} lines`);
  for (const [index, line] of lines.entries()) reader.read(line, index + 1);
  return reader.finish();
}

/** Whether those who cosigned are enough. `cosigned` are keys whose cosignatures were checked. */
export function quorumReached(
  policy: WitnessPolicy,
  cosigned: readonly { readonly name: string; readonly id: number }[],
): boolean {
  const holds = (rule: Rule): boolean =>
    rule.kind === 'witness'
      ? cosigned.some((one) => sameKey(one, rule.key))
      : rule.members.filter(holds).length >= rule.threshold;
  return policy.quorum === undefined || holds(policy.quorum);
}

class PolicyReader {
  readonly #logs: PolicyLog[] = [];
  readonly #witnesses: PolicyWitness[] = [];
  readonly #rules = new Map<string, Rule>();
  /** Names that stand in a group already: each counts once. */
  readonly #members = new Set<string>();
  #quorum: { readonly rule: Rule | undefined } | undefined;
  #line = 0;

  read(line: string, number: number): void {
    this.#line = number;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the specification forbids them
    if (/[\0-\x08\x0b-\x1f\x7f]/.test(line)) throw this.#malformed('holds a control character');
    const [keyword, ...items] = line.split(/[ \t]+/).filter((item) => item !== '');
    if (keyword === undefined || keyword.startsWith('#')) return;
    if (keyword === 'log') this.#readLog(items);
    else if (keyword === 'witness') this.#readWitness(items);
    else if (keyword === 'group') this.#readGroup(items);
    else if (keyword === 'quorum') this.#readQuorum(items);
    else throw this.#malformed(`begins with ${JSON.stringify(keyword)}, not log, witness, group or quorum`);
  }

  finish(): WitnessPolicy {
    if (this.#quorum === undefined) throw new TlogError('POLICY_MALFORMED', 'the policy has no quorum line');
    return { logs: this.#logs, witnesses: this.#witnesses, quorum: this.#quorum.rule };
  }

  #readLog([vkey, url, ...rest]: readonly string[]): void {
    if (vkey === undefined || rest.length > 0) throw this.#malformed('is not "log <vkey> [<url>]"');
    const key = this.#key(vkey, 'ed25519');
    this.#refuseTwice(this.#logs, key);
    this.#logs.push({ key, url });
  }

  #readWitness([name, vkey, url, ...rest]: readonly string[]): void {
    if (name === undefined || vkey === undefined || rest.length > 0) {
      throw this.#malformed('is not "witness <name> <vkey> [<url>]"');
    }
    const key = this.#key(vkey, 'cosignature/v1');
    this.#refuseTwice(this.#witnesses, key);
    this.#define(name, { kind: 'witness', key });
    this.#witnesses.push({ name, key, url });
  }

  #readGroup([name, count, ...members]: readonly string[]): void {
    if (name === undefined || count === undefined || members.length === 0) {
      throw this.#malformed('is not "group <name> all|any|<k> <name>…"');
    }
    const rules = members.map((member) => {
      if (this.#members.has(member)) throw this.#malformed(`${member} is in a group already`);
      this.#members.add(member);
      return this.#rule(member);
    });
    const threshold =
      count === 'all' ? rules.length : count === 'any' ? 1 : /^[1-9]\d{0,3}$/.test(count) ? Number(count) : 0;
    if (threshold < 1 || threshold > rules.length) {
      throw this.#malformed(`asks for ${count} of ${rules.length} members`);
    }
    this.#define(name, { kind: 'group', threshold, members: rules });
  }

  #readQuorum([name, ...rest]: readonly string[]): void {
    if (name === undefined || rest.length > 0) throw this.#malformed('is not "quorum <name>"');
    if (this.#quorum !== undefined) throw this.#malformed('is a second quorum line');
    this.#quorum = { rule: name === NONE ? undefined : this.#rule(name) };
  }

  #key(vkey: string, type: SignatureType): VerifierKey {
    let key: VerifierKey;
    try {
      key = parseVkey(vkey);
    } catch (error) {
      throw this.#malformed(error instanceof Error ? error.message : String(error), error);
    }
    if (key.type !== type) throw this.#malformed(`has a key of type ${key.type}, not ${type}`);
    return key;
  }

  /** The public key counts, whatever name it has. */
  #refuseTwice(known: readonly { readonly key: VerifierKey }[], key: VerifierKey): void {
    const twice = known.some((one) => Buffer.from(one.key.publicKey).equals(key.publicKey));
    if (twice) throw this.#malformed('has a public key that an earlier line has');
  }

  #define(name: string, rule: Rule): void {
    if (name === NONE || this.#rules.has(name)) throw this.#malformed(`defines ${name}, which is defined already`);
    this.#rules.set(name, rule);
  }

  #rule(name: string): Rule {
    const rule = this.#rules.get(name);
    if (rule === undefined) throw this.#malformed(`names ${name}, which no line before it defines`);
    return rule;
  }

  #malformed(why: string, cause?: unknown): TlogError {
    return new TlogError('POLICY_MALFORMED', `line ${this.#line} of the policy ${why}`, { cause });
  }
}
