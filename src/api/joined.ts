// Adds to entries of several replicas what only the others know: the other ends of joins, and copies of audit events. At most two rounds of
// questions for a page, however many entries it has.
import { isDeepStrictEqual } from 'node:util';
import type { Claim } from '../index/facts.ts';
import type { FoundLink } from '../index/found-links.ts';
import { claimParts } from '../index/links.ts';
import { type LookedUp, type Lookup, MAX_LOOKED_UP } from '../index/lookup.ts';
import type { FoundEntry } from '../index/search.ts';
import { parseMicros } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Missing } from './peers.ts';
import type { Replica } from './replica.ts';

/** An entry that says whose it is. */
export type OwnedEntry = FoundEntry & { readonly replica: string };

export interface Joined {
  readonly entries: readonly OwnedEntry[];
  /** Replicas that did not say what they know of these entries. */
  readonly failed: readonly Missing[];
}

/** In the order given. Links that others know more of are replaced, and `copies` added. */
export async function joinAcross(entries: readonly OwnedEntry[], replicas: readonly Replica[]): Promise<Joined> {
  const failed = new Map<string, Missing>();
  const ask = async (replica: Replica, lookup: Lookup): Promise<LookedUp | undefined> => {
    const { claims, uids, events, places } = lookup;
    if (claims.length + uids.length + events.length + places.length === 0) return undefined;
    try {
      return await replica.lookUp(lookup);
    } catch (error) {
      failed.set(replica.name, { replica: replica.name, why: `joins with it are missing: ${messageOf(error)}` });
      return undefined;
    }
  };
  const found = entries.map(() => new Findings());
  await Promise.all(
    replicas.map(async (replica) => {
      const round = new FirstRound(entries, replica.name);
      const answer = await ask(replica, round.lookup);
      if (answer !== undefined) round.take(answer, found);
    }),
  );
  await Promise.all(
    replicas.map(async (replica) => {
      const round = new SecondRound(entries, found, replica.name);
      const answer = await ask(replica, round.lookup);
      if (answer !== undefined) round.take(answer);
    }),
  );
  return { entries: entries.map((entry, index) => withFindings(entry, found[index])), failed: [...failed.values()] };
}

/** What was found about one entry. */
class Findings {
  /** By the claim of a link that this entry's own replica could not check. */
  readonly claims = new Map<string, FoundLink>();
  /** Events elsewhere that name this decision. */
  readonly naming: { readonly replica: string; readonly claim: Claim; readonly link: FoundLink }[] = [];
  readonly proven: FoundLink[] = [];
  /** Events elsewhere that may be this one. */
  readonly candidates: { readonly replica: string; readonly entry: FoundEntry; readonly hash: string }[] = [];
  readonly copies: { replica: string; shard: number; seq: number }[] = [];
}

/** What one replica is asked about entries of the others. */
class FirstRound {
  readonly lookup: Lookup;
  readonly #replica: string;
  readonly #claims: { readonly index: number; readonly text: string; readonly claim: Claim }[] = [];
  readonly #decisions = new Map<string, number[]>();
  readonly #events: number[] = [];

  constructor(entries: readonly OwnedEntry[], replica: string) {
    this.#replica = replica;
    const events: Lookup['events'][number][] = [];
    entries.forEach((entry, index) => {
      if (entry.replica === replica) return;
      for (const { state, claim: text } of entry.links ?? []) {
        const claim = state === 'elsewhere' && text !== undefined ? claimOf(text) : undefined;
        if (claim !== undefined && text !== undefined) this.#claims.push({ index, text, claim });
      }
      if (entry.kind === 'decision' && entry.uid !== undefined) {
        this.#decisions.set(entry.uid, [...(this.#decisions.get(entry.uid) ?? []), index]);
      }
      const time = parseMicros(entry.time);
      if (entry.kind === 'event' && entry.auditID !== undefined && time !== undefined) {
        this.#events.push(index);
        events.push({ auditID: entry.auditID, stage: entry.stage ?? '', time });
      }
    });
    this.#claims.splice(MAX_LOOKED_UP);
    const claims = this.#claims.map(({ claim }) => claim);
    this.lookup = { claims, uids: [...this.#decisions.keys()], events, places: [] };
  }

  take(answer: LookedUp, found: readonly Findings[]): void {
    const replica = this.#replica;
    this.#claims.forEach(({ index, text }, i) => {
      const link = answer.claims[i];
      if (link !== null && link !== undefined) found[index]?.claims.set(text, { ...link, replica });
    });
    for (const { shard, seq, code, stage, ...claim } of answer.naming) {
      const link = { replica, shard, seq, kind: 'event', ...(code === undefined ? {} : { code }) };
      const whole = { state: 'verified' as const, ...link, ...(stage === undefined ? {} : { stage }) };
      for (const index of this.#decisions.get(claim.uid) ?? [])
        found[index]?.naming.push({ replica, claim, link: whole });
    }
    this.#events.forEach((index, i) => {
      for (const copy of answer.copies[i] ?? []) found[index]?.candidates.push({ ...copy, replica });
    });
  }
}

/** What one replica is asked about its own entries, after the others said what they have to do with them. */
class SecondRound {
  readonly lookup: Lookup;
  readonly #claims: { readonly entry: OwnedEntry; readonly finding: Findings; readonly link: FoundLink }[] = [];
  readonly #events: { readonly entry: OwnedEntry; readonly finding: Findings }[] = [];

  constructor(entries: readonly OwnedEntry[], found: readonly Findings[], replica: string) {
    const claims: Claim[] = [];
    entries.forEach((entry, index) => {
      const finding = found[index];
      if (entry.replica !== replica || finding === undefined) return;
      for (const { claim, link } of finding.naming) {
        if (claims.length >= MAX_LOOKED_UP) break;
        claims.push(claim);
        this.#claims.push({ entry, finding, link });
      }
      if (finding.candidates.length > 0) this.#events.push({ entry, finding });
    });
    const places = this.#events.map(({ entry: { shard, seq } }) => ({ shard, seq }));
    this.lookup = { claims, uids: [], events: [], places };
  }

  take(answer: LookedUp): void {
    this.#claims.forEach(({ entry, finding, link }, i) => {
      const checked = answer.claims[i];
      // The event may name another decision about the same review: that one's list shows it.
      if (checked?.shard !== entry.shard || checked.seq !== entry.seq) return;
      const { state, claim } = checked;
      finding.proven.push({ ...link, state, ...(claim === undefined ? {} : { claim }) });
    });
    this.#events.forEach(({ entry, finding }, i) => {
      const own = answer.hashes[i];
      for (const { replica, entry: copy, hash } of finding.candidates) {
        // The same content says the same of itself. Whoever shows it with other words shows something else.
        if (hash !== own || !isDeepStrictEqual(contentOf(copy), contentOf(entry))) continue;
        finding.copies.push({ replica, shard: copy.shard, seq: copy.seq });
      }
    });
  }
}

/** What an event says, without where and when it was recorded. */
function contentOf({ replica, shard, seq, time, links, copies, ...content }: FoundEntry): object {
  return content;
}

const CLAIM = /^d\.([^=]{1,64})=(.*)$/s;

/** A claim in the form in which links keep it; undefined when nothing could be asked about it. */
function claimOf(text: string): Claim | undefined {
  const [, uid, reference] = CLAIM.exec(text) ?? [];
  return uid === undefined || reference === undefined || claimParts(reference) === undefined
    ? undefined
    : { uid, reference };
}

function withFindings(entry: OwnedEntry, found: Findings | undefined): OwnedEntry {
  if (found === undefined) return entry;
  const own = (entry.links ?? []).map((link) =>
    link.claim === undefined ? link : (found.claims.get(link.claim) ?? link),
  );
  const links = [...own, ...found.proven];
  const { copies } = found;
  return { ...entry, ...(links.length === 0 ? {} : { links }), ...(copies.length === 0 ? {} : { copies }) };
}
