// JSON documents that differ from a given one here and there: more members, other types, fewer elements.
import { type Pick, picker } from '../unit/policy/picker.ts';

const NAMES = ['unread', 'name', 'a', 'spec', '', 'x"y', 'ünï', '0', '\ud800'];
const VALUES: readonly unknown[] = [
  ...[null, true, false, 0, -1, 2.5, 'text', '', 'ünï', [], {}],
  [1, 'a', { a: [1] }],
  { a: { a: 'x' }, name: 'n', unread: [{}] },
];

/** The document with some changes that follow from the seed. */
export function changedJson(text: string, seed: number): string {
  const pick = picker(seed + 1);
  return JSON.stringify(changed(JSON.parse(text), pick, 0));
}

function changed(value: unknown, pick: Pick, depth: number): unknown {
  // A whole document of another type teaches little.
  if (depth > 0 && pick([true, ...Array<boolean>(9).fill(false)])) return pick(VALUES);
  if (Array.isArray(value)) {
    const elements = value
      .filter(() => pick([true, true, true, true, false]))
      .map((one) => changed(one, pick, depth + 1));
    return pick([true, false, false]) ? [...elements, pick([...VALUES, ...value])] : elements;
  }
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, one]) => [name, changed(one, pick, depth + 1)] as const);
  const added = Array.from({ length: pick([0, 1, 2, 12]) }, (_, i) => [
    `${pick(NAMES)}${i > 2 ? i : ''}`,
    pick([...VALUES, value]),
  ]);
  const kept = members.filter(() => pick([true, true, true, true, true, false]));
  return Object.fromEntries(pick([true, false]) ? [...added, ...kept] : [...kept, ...added]);
}
