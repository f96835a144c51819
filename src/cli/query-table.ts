// Entries as rows of a table. Widths are fixed, so that rows which come one by one stand below one another.
import type { FoundLink } from '../index/found-links.ts';
import type { FoundEntry } from '../index/search.ts';
import { escapeTerminal } from './terminal.ts';

interface Column {
  readonly title: string;
  /** Characters; the last column is not cut. */
  readonly width: number;
  readonly wide?: true;
  /** Only where entries are of several replicas. */
  readonly replicas?: true;
  readonly cell: (entry: FoundEntry) => string;
}

const COLUMNS: readonly Column[] = [
  { title: 'TIME', width: 20, cell: ({ time }) => `${time.slice(0, 19)}Z` },
  { title: 'REPLICA', width: 14, replicas: true, cell: ({ replica = '' }) => replica },
  { title: 'ENTRY', width: 9, cell: ({ shard, seq }) => (shard === 0 ? String(seq) : `${shard}/${seq}`) },
  { title: 'KIND', width: 11, cell: ({ kind }) => kind },
  { title: 'VERDICT', width: 7, cell: verdict },
  { title: 'USER', width: 20, cell: user },
  { title: 'VERB', width: 8, cell: ({ verb = '' }) => verb },
  { title: 'RESOURCE', width: 26, cell: resource },
  { title: 'NAMESPACE/NAME', width: 30, cell: object },
  { title: 'POLICIES', width: 30, cell: policies },
  { title: 'STAGE', width: 16, wide: true, cell: ({ stage = '' }) => stage },
  { title: 'UID OR AUDIT ID', width: 36, wide: true, cell: ({ uid, auditID }) => uid ?? auditID ?? '' },
  { title: 'JOINED WITH', width: 40, cell: joined },
];

export interface TableForm {
  /** All columns, and nothing cut. */
  readonly wide: boolean;
  /** Whose ledger an entry is in. */
  readonly replicas: boolean;
}

export function header(form: TableForm): string {
  return line(form, ({ title }) => title);
}

export function rowOf(entry: FoundEntry, form: TableForm): string {
  return line(form, ({ cell }) => escapeTerminal(cell(entry)));
}

function line({ wide, replicas }: TableForm, text: (column: Column) => string): string {
  const columns = COLUMNS.filter(
    (column) => (wide || column.wide === undefined) && (replicas || column.replicas === undefined),
  );
  const cells = columns.map((column, i) => {
    const cell = text(column);
    // In the wide form nothing is cut: whoever asks for it wants to read or copy all.
    const fits = wide || cell.length <= column.width || i === columns.length - 1;
    return (fits ? cell : `${cell.slice(0, column.width - 1)}…`).padEnd(column.width);
  });
  return cells.join('  ').trimEnd();
}

function verdict({ kind, allowed, code, policies: fired = [] }: FoundEntry): string {
  if (kind === 'decision') {
    if (allowed === false) return 'deny';
    return fired.some(({ action }) => action === 'warn') ? 'warn' : 'allow';
  }
  return code === undefined ? '' : String(code);
}

function user({ user: name = '', impersonator }: FoundEntry): string {
  return impersonator === undefined ? name : `${name} (${impersonator})`;
}

function resource({ resource: name, group, subresource }: FoundEntry): string {
  if (name === undefined) return '';
  const qualified = group === undefined || group === '' ? name : `${name}.${group}`;
  return subresource === undefined || subresource === '' ? qualified : `${qualified}/${subresource}`;
}

function object({ namespace, name, dryRun }: FoundEntry): string {
  const path = [namespace, name].filter((part) => part !== undefined && part !== '').join('/');
  return dryRun === true ? `${path} (dry run)` : path;
}

/** Those that denied first: they are what one looks for. */
function policies({ policies: fired = [] }: FoundEntry): string {
  const order = ['deny', 'warn', 'audit'];
  const rank = (action: string) => (order.indexOf(action) + order.length) % order.length;
  return [...fired]
    .sort((a, b) => rank(a.action) - rank(b.action))
    .map(({ policy, action }) => `${policy.replace(/^admission\./, '')}:${action}`)
    .join(' ');
}

function joined({ shard, links = [] }: FoundEntry): string {
  return links.map((link) => linkText(link, shard)).join(', ');
}

function linkText(link: FoundLink, shard: number): string {
  const place = linkPlace(link, shard);
  if (link.state === 'verified') {
    if (link.kind === 'decision') return `decision ${place}: ${link.allowed === false ? 'deny' : 'allow'}`;
    return `${link.kind ?? ''} ${place}${link.code === undefined ? '' : `: ${link.code}`}`;
  }
  if (link.state === 'elsewhere') return 'another log';
  return link.state === 'mismatch' ? `${place} HASH DIFFERS` : `${place} MISSING`.trim();
}

/** As short as it is unambiguous beside the entry. */
function linkPlace(link: FoundLink, shard: number): string {
  if (link.seq === undefined) return '';
  if (link.replica !== undefined) return `${link.replica}/${link.shard}/${link.seq}`;
  return link.shard === shard ? `${link.seq}` : `${link.shard}/${link.seq}`;
}
