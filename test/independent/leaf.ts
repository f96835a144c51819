// A leaf, as the page of the format describes it.

export interface Leaf {
  seq: number;
  kind: string;
  prev: string;
  body: string;
  size: number;
}
const ALWAYS = ['v', 'seq', 'time', 'kind', 'prev', 'body', 'size'];
const KEYS_OF: Record<string, readonly string[]> = {
  start: ALWAYS,
  link: ALWAYS,
  stop: ALWAYS,
  policy: [...ALWAYS, 'bundle'],
  decision: [...ALWAYS, 'uid', 'bundle', 'allowed'],
  undelivered: [...ALWAYS, 'uid'],
  event: ALWAYS,
  redelivery: ALWAYS,
  malformed: ALWAYS,
  anchor: ALWAYS,
  finding: ALWAYS,
  key: ALWAYS,
  removal: ALWAYS,
};
const matches = (pattern: RegExp) => (value: unknown) => typeof value === 'string' && pattern.test(value);
const upTo = (max: number) => (value: unknown) => Number.isInteger(value) && Number(value) >= 0 && Number(value) <= max;
const HEX_32 = /^[0-9a-f]{64}$/;
const IS_VALUE: Record<string, (value: unknown) => boolean> = {
  v: (value) => value === 1,
  seq: upTo(2 ** 49 - 1),
  time: (value) => {
    if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(value)) return false;
    const time = new Date(value);
    return !Number.isNaN(time.getTime()) && time.toISOString().slice(0, 19) === value.slice(0, 19);
  },
  kind: (value) => typeof value === 'string' && Object.hasOwn(KEYS_OF, value),
  prev: matches(HEX_32),
  body: matches(HEX_32),
  size: upTo(2 ** 32 - 1),
  uid: matches(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/),
  bundle: matches(/^sha256:[0-9a-f]{64}$/),
  allowed: (value) => typeof value === 'boolean',
};

export function parseLeaf(bytes: Buffer): Leaf | undefined {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(bytes.toString('latin1'));
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const keys = Object.keys(value);
  const expected = KEYS_OF[String(value['kind'])] ?? [];
  const good = keys.join() === expected.join() && keys.every((key) => IS_VALUE[key]?.(value[key]));
  const { seq, kind, prev, body, size } = value;
  return good && bytes.equals(Buffer.from(JSON.stringify(value)))
    ? ({ seq, kind, prev, body, size } as Leaf)
    : undefined;
}
