import { randomBytes } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bodyRecord,
  decodeBodyBundle,
  decodeLargeBody,
  encodeBodyBundle,
  encodeLargeBody,
  LARGE_BODY_BYTES,
  maxBundleBytes,
  maxLargeBytes,
  mirrorKey,
  parseMirrorPath,
} from '../../../src/mirror/layout.ts';

const ORIGIN = 'log.example/cluster/0/7';
const salt = (byte: number) => Buffer.alloc(16, byte);
const MALFORMED = expect.objectContaining({ code: 'MIRROR_OBJECT_MALFORMED' });
const header = (codec: number, ...data: Buffer[]) => Buffer.concat([Buffer.from('SGB1'), Buffer.of(codec), ...data]);
const record = (state: number, length: number, body = Buffer.alloc(0)) => {
  const bytes = Buffer.alloc(21, 9);
  bytes[0] = state;
  bytes.writeUInt32BE(length, 17);
  return Buffer.concat([bytes, body]);
};

describe('keys of a mirror', () => {
  it.each([
    ['checkpoint', { kind: 'checkpoint' }],
    ['checkpoints/1234', { kind: 'checkpoints', size: 1234 }],
    ['tile/1/x001/234', { kind: 'tile', level: 1, index: 1234, width: 256 }],
    ['tile/entries/x001/234.p/7', { kind: 'entries', index: 1234, width: 7 }],
    ['bodies/000', { kind: 'bodies', index: 0, width: 256 }],
    ['bodies/x001/x234/067.p/255', { kind: 'bodies', index: 1_234_067, width: 255 }],
    ['bodies/large/70000', { kind: 'large', seq: 70_000 }],
  ] as const)('%s is written and read', (path, object) => {
    expect(mirrorKey(ORIGIN, object)).toBe(`${ORIGIN}/${path}`);
    expect(parseMirrorPath(path)).toEqual(object);
  });

  it.each([
    ...[
      '',
      '/checkpoint',
      'checkpoint/',
      'checkpoints/',
      'checkpoints/007',
      'checkpoints/1e3',
      'checkpoints/9007199254740992',
    ],
    ...[
      'bodies/large/',
      'bodies/large/01',
      'bodies/1',
      'bodies/000.p/256',
      'bodies/000.p/0',
      'bodies/x000/001',
      'tile/0/1',
      '../x',
    ],
  ])('%s is nobody’s', (path) => {
    expect(parseMirrorPath(path)).toBeUndefined();
  });

  it('has one name for each object', () => {
    const index = fc.nat(2 ** 40);
    const width = fc.integer({ min: 1, max: 256 });
    const object = fc.oneof(
      fc.record({ kind: fc.constant('checkpoints' as const), size: index }),
      fc.record({ kind: fc.constant('large' as const), seq: index }),
      fc.record({ kind: fc.constant('bodies' as const), index, width }),
      fc.record({ kind: fc.constant('entries' as const), index, width }),
      fc.record({ kind: fc.constant('tile' as const), level: fc.nat(63), index, width }),
    );
    void fc.assert(
      fc.property(object, (one) => {
        expect(parseMirrorPath(mirrorKey('o', one).slice(2))).toEqual(one);
      }),
    );
  });
});

describe('a bundle of bodies', () => {
  it('gives back what was put in, whatever it was', () => {
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .integer({ min: LARGE_BODY_BYTES - 2, max: LARGE_BODY_BYTES + 2 })
        .map((size) => new Uint8Array(size).fill(size)),
    );
    const entry = fc.tuple(fc.uint8Array({ minLength: 16, maxLength: 16 }), body);
    void fc.assert(
      fc.property(fc.array(entry, { minLength: 1, maxLength: 256 }), (entries) => {
        const records = entries.map(([s, b]) => bodyRecord(s, b));
        const bundle = encodeBodyBundle(records);
        expect(bundle.length).toBeLessThanOrEqual(maxBundleBytes(entries.length));
        expect(encodeBodyBundle(records)).toEqual(bundle);
        const plain = decodeBodyBundle(bundle, entries.length).map((one) => ({
          salt: [...one.salt],
          ...('body' in one ? { body: Buffer.from(one.body).toString('hex') } : { large: one.large }),
        }));
        expect(plain).toEqual(
          entries.map(([s, b]) => ({
            salt: [...s],
            ...(b.length > LARGE_BODY_BYTES ? { large: b.length } : { body: Buffer.from(b).toString('hex') }),
          })),
        );
      }),
      { numRuns: 40 },
    );
  });

  it('compresses what resembles itself, and leaves as it is what does not get smaller', () => {
    const alike = Array.from({ length: 256 }, (_, i) =>
      bodyRecord(salt(i), Buffer.from('{"kind":"Event"}'.repeat(20))),
    );
    expect(encodeBodyBundle(alike).length).toBeLessThan(256 * 40);
    expect(encodeBodyBundle([bodyRecord(randomBytes(16), randomBytes(1000))])[4]).toBe(0);
  });

  it('holds a large body as its size, and that body alone elsewhere', () => {
    const body = Buffer.alloc(LARGE_BODY_BYTES + 1, 'x');
    const [one] = decodeBodyBundle(encodeBodyBundle([bodyRecord(salt(1), body)]), 1);
    expect(one).toEqual({ salt: salt(1), large: body.length });
    const alone = encodeLargeBody(salt(1), body);
    expect(alone.length).toBeLessThanOrEqual(maxLargeBytes(body.length));
    expect(decodeLargeBody(alone, body.length)).toEqual({ salt: salt(1), body });
  });

  it('is refused when it is not exactly that', () => {
    const good = header(0, record(1, 3, Buffer.from('abc')));
    expect(decodeBodyBundle(good, 1)).toEqual([{ salt: salt(9), body: Buffer.from('abc') }]);
    const bad: [Buffer, number][] = [
      [Buffer.alloc(0), 1],
      [Buffer.from('SGB1'), 1],
      [Buffer.from(`SGB2\0${good.subarray(5)}`), 1],
      [good, 2],
      [good.subarray(0, -1), 1],
      [Buffer.concat([good, Buffer.of(0)]), 1],
      [header(2, good.subarray(5)), 1],
      [header(0, record(0, 0)), 1],
      [header(0, record(3, 0)), 1],
      // Each body has one place.
      [header(0, record(2, LARGE_BODY_BYTES)), 1],
      [header(0, record(1, LARGE_BODY_BYTES + 1, Buffer.alloc(LARGE_BODY_BYTES + 1))), 1],
      [header(0, record(1, 0xffff_ffff)), 1],
      [header(1, Buffer.from('no frame')), 1],
    ];
    for (const [bytes, count] of bad) expect(() => decodeBodyBundle(bytes, count)).toThrow(MALFORMED);
    expect(() => decodeLargeBody(header(0, record(2, 70_000)), 70_000)).toThrow(MALFORMED);
    expect(() => decodeLargeBody(encodeLargeBody(salt(1), Buffer.alloc(70_001)), 70_000)).toThrow(MALFORMED);
  });

  it('cannot make its reader unpack more than an honest one has', () => {
    const bomb = header(1, zstdCompressSync(Buffer.alloc(64 * 2 ** 20)));
    expect(bomb.length).toBeLessThan(10_000);
    expect(() => decodeBodyBundle(bomb, 1)).toThrow(MALFORMED);
    expect(() => decodeLargeBody(bomb, 100_000)).toThrow(MALFORMED);
  });

  it('never fails in another way on bytes that nobody honest wrote', () => {
    void fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom(0, 1),
        fc.integer({ min: 1, max: 4 }),
        (data, codec, count) => {
          try {
            decodeBodyBundle(header(codec, Buffer.from(data)), count);
          } catch (error) {
            expect(error).toMatchObject({ code: 'MIRROR_OBJECT_MALFORMED' });
          }
        },
      ),
    );
  });

  it('takes 1 to 256 records of the right form', () => {
    const one = bodyRecord(salt(1), Buffer.of(1));
    expect(() => encodeBodyBundle([])).toThrow(RangeError);
    expect(() => encodeBodyBundle(Array.from({ length: 257 }, () => one))).toThrow(RangeError);
    expect(() => encodeBodyBundle([{ salt: Buffer.alloc(15), body: Buffer.of(1) }])).toThrow(RangeError);
    expect(() => encodeBodyBundle([{ salt: salt(1), large: 5 }])).toThrow(RangeError);
    expect(() => encodeBodyBundle([{ salt: salt(1), body: Buffer.alloc(LARGE_BODY_BYTES + 1) }])).toThrow(RangeError);
  });
});
