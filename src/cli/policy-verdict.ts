// A verdict for a person: each policy, which of its rules fired, and what they said.
import type { Evaluation, MatchFacts, PolicyFailure, PolicyResult } from '../policy/types.ts';
import { escapeTerminal } from './terminal.ts';

type Said = Pick<Evaluation, 'results' | 'failures' | 'prints' | 'evaluated'> & Partial<Pick<Evaluation, 'times'>>;

/** Lines without their ends, control characters made visible. */
export function formatPolicies({ results, failures, prints, evaluated, times = [] }: Said): string[] {
  // A failure may be of no policy that ran: of the engine.
  const names = [...new Set([...evaluated, ...failures.map(({ policy }) => policy)])];
  const width = Math.max(0, ...names.map((name) => name.length)) + 2;
  return names.flatMap((name) => {
    const mine = <T extends { readonly policy: string }>(list: readonly T[]) =>
      list.filter(({ policy }) => policy === name);
    const took = mine(times)[0];
    const lines = [
      ...mine(failures).map((failure) => `    ${failureText(failure)}`),
      ...mine(results).flatMap(resultLines),
      ...mine(prints).map(({ message }) => `    print: ${message}`),
    ];
    const outcome = outcomeOf(mine(results), mine(failures));
    const head = `  ${name.padEnd(width)}${outcome.padEnd(8)}${took === undefined ? '' : `${took.ms.toFixed(3)} ms`}`;
    return [head.trimEnd(), ...lines].map(escapeTerminal);
  });
}

/** CREATE pods shop/web, or pods/exec with the subresource. */
export function requestText({
  operation,
  resource,
  subresource,
  group,
  resourceGroup,
  namespace,
  name,
}: MatchFacts): string {
  const inGroup = resourceGroup ?? group;
  const what = `${resource}${inGroup === '' ? '' : `.${inGroup}`}${subresource === '' ? '' : `/${subresource}`}`;
  return escapeTerminal(`${operation} ${what} ${namespace === '' ? '' : `${namespace}/`}${name || '(no name)'}`);
}

function resultLines({ rule, action, severity, message, details, remediation, controls }: PolicyResult): string[] {
  return [
    `    ${rule} (${action}, ${severity}): ${message}`,
    ...(details === undefined ? [] : [`      details: ${JSON.stringify(details)}`]),
    ...(remediation === undefined ? [] : [`      remediation: ${remediation}`]),
    ...(controls.length === 0 ? [] : [`      controls: ${controls.join(', ')}`]),
  ];
}

function failureText({ code, message, action }: PolicyFailure): string {
  return `failed (counts as ${action}): ${code}: ${message}`;
}

function outcomeOf(results: readonly PolicyResult[], failures: readonly PolicyFailure[]): string {
  const actions = new Set([...failures.map(({ action }) => action), ...results.map(({ action }) => action)]);
  if (failures.length > 0) return 'failed';
  return (['deny', 'warn', 'audit'] as const).find((action) => actions.has(action)) ?? 'pass';
}
