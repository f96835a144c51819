// make conformance: OPA's own conformance cases through the host that the pod evaluates policies with. Prints what
// failed, what was skipped by reason, and `N passed, N failed, N skipped`.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Command } from 'commander';
import { type Case, compiledCases } from './cases.ts';
import { categories, REFUSED, readExceptions, writeRefused } from './exceptions.ts';
import { judge } from './judge.ts';
import { Projections } from './projections.ts';

/** Exceptions beyond the refused built-ins that the engine may have. */
const MAX_EXCEPTIONS = 80;

interface Options {
  /** Regular expression that names must match. */
  readonly only?: string;
  /** File that takes the counts as JSON. */
  readonly report?: string;
  readonly updateRefused?: boolean;
}

class Tally {
  passed = 0;
  readonly failures: string[] = [];
  readonly skipped = new Map<string, number>();
  /** Cases that need a refused built-in. */
  readonly refused: string[] = [];
  private readonly projections = new Projections();
  private readonly exceptions = readExceptions();
  private readonly expected = categories(this.exceptions);
  private readonly updates: boolean;

  constructor(updates: boolean) {
    this.updates = updates;
  }

  /** An exception must fail, and for its reason: one that passes has no place in the list. */
  async add(test: Case, now: bigint): Promise<void> {
    const refused = needsRefused(test);
    // The list that is being written anew says nothing yet.
    const listed = this.expected.get(test.name);
    const category = this.updates && (refused || listed === REFUSED) ? (refused ? REFUSED : undefined) : listed;
    this.expected.delete(test.name);
    if (refused) this.refused.push(test.name);
    const problem = (await judge(test, now)) ?? (await this.projections.judge(test, now));
    if (problem === undefined && category === undefined) this.passed++;
    else if (problem === undefined) this.failures.push(`${test.name}: passes, and is listed under "${category}"`);
    else if (category === undefined || (category === REFUSED) !== refused)
      this.failures.push(`${test.name} (${test.file}): ${problem}`);
    else this.skipped.set(category, (this.skipped.get(category) ?? 0) + 1);
  }

  /** What can only be said when every case has been seen. */
  finish(): void {
    for (const [name, category] of this.expected)
      this.failures.push(`${name}: listed under "${category}", and no case`);
    const others = [...this.skipped].filter(([category]) => category !== REFUSED);
    const count = others.reduce((sum, [, cases]) => sum + cases, 0);
    if (count > MAX_EXCEPTIONS) this.failures.push(`${count} exceptions are more than ${MAX_EXCEPTIONS}`);
  }

  updateRefused(): void {
    writeRefused(this.exceptions, this.refused);
  }

  print(): void {
    for (const failure of this.failures) console.log(`FAILED ${failure}`);
    for (const [category, cases] of [...this.skipped].sort(([, a], [, b]) => b - a))
      console.log(`${String(cases).padStart(5)} skipped: ${category} (${this.exceptions[category]?.why})`);
    const skipped = [...this.skipped.values()].reduce((sum, cases) => sum + cases, 0);
    const { inputs, smaller } = this.projections;
    console.log(
      `${inputs} inputs, changed ones included, were also cut to what is read of them: ${smaller} became smaller`,
    );
    console.log(`${this.passed} passed, ${this.failures.length} failed, ${skipped} skipped`);
  }
}

/** Capabilities without the built-in are why the case does not compile. */
function needsRefused(test: Case): boolean {
  const error = test.compile_error ?? '';
  return /undefined function|with keyword target must reference existing|var \w+ is unsafe/.test(error);
}

async function main(options: Options): Promise<void> {
  const tally = new Tally(options.updateRefused === true);
  const only = options.only === undefined ? undefined : new RegExp(options.only);
  const now = BigInt(Date.now()) * 1_000_000n;
  for (const test of compiledCases()) if (only === undefined || only.test(test.name)) await tally.add(test, now);
  if (only === undefined) tally.finish();
  if (options.updateRefused) tally.updateRefused();
  tally.print();
  if (options.report !== undefined) {
    mkdirSync(dirname(options.report), { recursive: true });
    writeFileSync(options.report, JSON.stringify({ passed: tally.passed, failures: tally.failures }));
  }
  process.exitCode = tally.failures.length > 0 ? 1 : 0;
}

const command = new Command('conformance')
  .option('--only <pattern>', 'only cases whose name matches')
  .option('--report <file>', 'write the counts there as JSON')
  .option('--update-refused', 'write the cases that need a refused built-in into exceptions.json');
command.parse();
await main(command.opts<Options>());
