// The content of an admission configuration, as digests of its fields: enough to say what a change changed.
import { hash } from 'node:crypto';
import type { Fields } from './state.ts';

/** Digits of a digest that are kept: it tells contents apart, it proves nothing. */
const DIGITS = 16;
/** The certificate authority is replaced with every rotation, and changes nothing about what is asked. */
const CA = '.clientConfig.caBundle';

/**
 * Of a webhook configuration `<webhook>.<field>`, of an admission policy or binding `spec.<field>`. Undefined for what has neither:
 * below the audit level RequestResponse there is no object.
 */
export function fieldsOf(object: unknown): Fields | undefined {
  const { webhooks, spec } = record(object);
  if (spec !== undefined) return digests('spec', record(spec));
  if (!Array.isArray(webhooks)) return record(object)['kind'] === undefined || isStatus(object) ? undefined : {};
  const fields: Record<string, string> = {};
  for (const webhook of webhooks as unknown[]) {
    const { name, clientConfig, ...rest } = record(webhook);
    const { caBundle, ...client } = record(clientConfig);
    Object.assign(fields, digests(String(name), { ...rest, clientConfig: client, [CA.slice(1)]: caBundle }));
  }
  return fields;
}

/** Whether a webhook configuration has this webhook. */
export function hasWebhook(fields: Fields, name: string): boolean {
  return Object.keys(fields).some((field) => field.startsWith(`${name}.`));
}

/** Names of the fields that differ, sorted. */
export function changedFields(before: Fields, after: Fields): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].filter((name) => before[name] !== after[name]).sort();
}

/** Whether a change is of certificate authorities only, or of nothing. */
export function isOnlyCa(changed: readonly string[]): boolean {
  return changed.every((name) => name.endsWith(CA));
}

/** Names of the objects in a list; undefined when it is none. */
export function namesIn(list: unknown): readonly string[] | undefined {
  const { items } = record(list);
  if (!Array.isArray(items)) return undefined;
  return (items as unknown[]).map((item) => String(record(record(item)['metadata'])['name']));
}

function isStatus(object: unknown): boolean {
  return record(object)['kind'] === 'Status';
}

function digests(prefix: string, fields: Readonly<Record<string, unknown>>): Fields {
  const of = (value: unknown) => hash('sha256', JSON.stringify(value)).slice(0, DIGITS);
  const there = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(there.map(([name, value]) => [`${prefix}.${name}`, of(value)]));
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
