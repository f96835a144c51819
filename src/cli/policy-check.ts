// `sealgate policy check`: the findings about a policy folder, for a person or as JSON.
import { checkFolder, type FolderCheck } from '../policy/check.ts';
import type { Finding } from '../policy/finding.ts';
import { fail } from './failure.ts';
import { escapeTerminal } from './terminal.ts';

export interface CheckFlags {
  readonly opa: string;
  readonly test: boolean;
  readonly strict?: boolean;
  readonly json?: boolean;
}

const UNSOUND = 15;

export async function runCheck(dir: string, flags: CheckFlags): Promise<number> {
  try {
    const check = await checkFolder({ opa: flags.opa, dir, tests: flags.test });
    const sound = isSound(check, flags.strict === true);
    if (flags.json === true) process.stdout.write(`${JSON.stringify({ report: 1, sound, dir, ...check }, null, 2)}\n`);
    else process.stdout.write(formatCheck(check, sound));
    return sound ? 0 : UNSOUND;
  } catch (thrown) {
    return fail('policy check', thrown);
  }
}

function isSound({ findings, tests }: FolderCheck, strict: boolean): boolean {
  return (tests?.failed ?? 0) === 0 && findings.every(({ level }) => level === 'warning' && !strict);
}

/** One line a policy, then one a finding, the verdict last. */
export function formatCheck({ digest, policies, findings, tests }: FolderCheck, sound: boolean): string {
  const width = Math.max(0, ...policies.map(({ policy }) => policy.length)) + 2;
  const lines = policies.map(({ policy, rules, title }) => {
    const asked = rules.map(({ rule, action, severity }) => `${rule} (${action}, ${severity})`).join(', ');
    return `${policy.padEnd(width)}${asked}${title === undefined ? '' : `  ${title}`}`;
  });
  if (lines.length > 0) lines.push('');
  lines.push(...[...findings, ...(tests?.failures ?? [])].map(line));
  const counts = [
    count(policies.length, 'policy', 'policies'),
    count(findings.filter(({ level }) => level === 'error').length, 'error', 'errors'),
    count(findings.filter(({ level }) => level === 'warning').length, 'warning', 'warnings'),
    tests === undefined ? 'tests not run' : testCounts(tests),
  ].join(', ');
  const bundle = digest === undefined ? '' : `bundle ${digest}\n`;
  return `${lines.map((text) => `${escapeTerminal(text)}\n`).join('')}${bundle}${sound ? 'SOUND' : 'UNSOUND'}: ${counts}\n`;
}

function testCounts({ passed, failed, skipped }: NonNullable<FolderCheck['tests']>): string {
  const all = passed + failed + skipped;
  if (all === 0) return 'no tests';
  return `${passed} of ${count(all, 'test', 'tests')} passed${skipped === 0 ? '' : ` (${skipped} skipped)`}`;
}

function line({ level, file, line: row, rule, message }: Finding): string {
  const place = file === undefined ? '' : `${file}:${row}: `;
  return `${place}${level}: ${rule === undefined ? '' : `${rule}: `}${message}`;
}

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`;
}
