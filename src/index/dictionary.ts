// Texts and facets by number: each distinct one is stored once, and the entries name it by a small integer.
import type Database from 'better-sqlite3';
import type { Facts } from './facts.ts';
import { type FacetFacts, indexed } from './keys.ts';

/** Numbers remembered in memory; beyond it they are forgotten all at once and looked up again. */
const REMEMBERED = 50_000;

/** Texts that clients blew up are looked up each time. */
const LONGEST_REMEMBERED = 1024;

/** The numbers of texts. */
export class Terms {
  readonly #find: Database.Statement;
  readonly #add: Database.Statement;
  readonly #known = new Map<string, number>();

  constructor(db: Database.Database) {
    this.#find = db.prepare('SELECT id FROM term WHERE text = ?').pluck();
    this.#add = db.prepare('INSERT INTO term (text) VALUES (?)');
  }

  /** 0 is the empty text. */
  id(text: string): number {
    if (text === '') return 0;
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const stored = indexed(text);
    const id = (this.#find.get(stored) as number | undefined) ?? Number(this.#add.run(stored).lastInsertRowid);
    // A copy: the text itself may be a slice of a body of megabytes, which it would keep alive.
    remember(this.#known, Buffer.from(text).toString(), id);
    return id;
  }

  /** After a rollback: what was added since is not there any more. */
  forget(): void {
    this.#known.clear();
  }
}

/** The numbers of facets. */
export class Facets {
  readonly #find: Database.Statement;
  readonly #add: Database.Statement;
  readonly #known = new Map<string, number>();

  constructor(db: Database.Database) {
    this.#find = db.prepare('SELECT id FROM facet WHERE key = ?').pluck();
    this.#add = db.prepare(
      `INSERT INTO facet (kind, allowed, dry_run, verb, api_group, resource, subresource, code, stage, policies, key)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
  }

  id(facts: Facts): number {
    const policies = facts.policies.length === 0 ? '' : JSON.stringify(facts.policies);
    const key = facetKey(facts, policies);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const stored = indexed(key);
    const id = (this.#find.get(stored) as number | undefined) ?? this.#insert(facts, policies, stored);
    remember(this.#known, key, id);
    return id;
  }

  forget(): void {
    this.#known.clear();
  }

  #insert(facts: Facts, policies: string, key: string): number {
    const { lastInsertRowid } = this.#add.run(
      facts.kind,
      facts.allowed === undefined ? null : Number(facts.allowed),
      Number(facts.dryRun),
      indexed(facts.verb),
      indexed(facts.group),
      indexed(facts.resource),
      indexed(facts.subresource),
      facts.code ?? null,
      indexed(facts.stage),
      policies,
      key,
    );
    return Number(lastInsertRowid);
  }
}

/** Two different facets never look alike: a separator within a value is escaped. */
function facetKey(f: FacetFacts, policies: string): string {
  const code = f.code === undefined ? '' : String(f.code);
  const parts = `${f.kind}|${f.allowed ?? ''}|${f.dryRun}|${code}`;
  return `${parts}|${part(f.verb)}|${part(f.group)}|${part(f.resource)}|${part(f.subresource)}|${part(f.stage)}|${policies}`;
}

function part(text: string): string {
  return text.includes('|') ? JSON.stringify(text).replaceAll('|', '\\u007c') : text;
}

function remember(known: Map<string, number>, key: string, id: number): void {
  if (key.length > LONGEST_REMEMBERED) return;
  if (known.size >= REMEMBERED) known.clear();
  known.set(key, id);
}
