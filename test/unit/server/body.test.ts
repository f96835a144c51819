import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Body, ByteBudget } from '../../../src/server/body.ts';
import { BodyRoom } from '../../../src/server/body-room.ts';

const MIB = 2 ** 20;

/** A message whose pieces a test sends itself, and the body that is read from it. */
function reading(limit: number, announced?: number, room?: BodyRoom) {
  const headers = announced === undefined ? {} : { 'content-length': String(announced) };
  const message = Object.assign(new EventEmitter(), { headers });
  const budget = new ByteBudget(64 * MIB);
  const body = new Body(message as unknown as IncomingMessage, budget, room);
  let read: Buffer | undefined;
  body.read(
    limit,
    (whole) => {
      read = whole;
    },
    () => undefined,
  );
  return {
    budget,
    body,
    send: (piece: Buffer) => message.emit('data', piece),
    end: () => {
      message.emit('end');
      return read;
    },
  };
}

describe('reading a body', () => {
  it('puts pieces of any size together in their order', () => {
    const size = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 100_000 }));
    void fc.assert(
      fc.property(fc.array(size, { minLength: 1, maxLength: 60 }), (sizes) => {
        const pieces = sizes.map((length, i) => Buffer.from(Uint8Array.from({ length }, (_, j) => i * 7 + j)));
        const { send, end } = reading(64 * MIB);
        for (const piece of pieces) send(piece);
        expect(end()?.equals(Buffer.concat(pieces))).toBe(true);
      }),
    );
  });

  it('takes no more memory for a body that comes byte by byte than for its bytes', () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const used = () => {
      gc();
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      return heapUsed + arrayBuffers;
    };
    const { send, end } = reading(MIB);
    const source = Buffer.from('xyz'.repeat(100));
    const before = used();
    for (let i = 0; i < 500_000; i++) send(source.subarray(i % 3, (i % 3) + 1));
    expect(used() - before).toBeLessThan(4 * MIB);
    expect(end()?.toString('latin1', 0, 6)).toBe('xyzxyz');
  });

  it('gives back the room that it took, once', () => {
    const { body, budget, send } = reading(MIB);
    for (let i = 0; i < 5000; i++) send(Buffer.from('a'));
    expect(budget.used).toBeGreaterThan(5000);
    body.release();
    body.release();
    expect(budget.used).toBe(0);
  });

  it('puts bodies together in room that others left, whole and never two in the same', () => {
    const room = new BodyRoom();
    const size = fc.oneof(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: 200_000 }));
    const sizes = fc.array(size, { minLength: 1, maxLength: 8 });
    void fc.assert(
      fc.property(fc.array(fc.tuple(sizes, fc.boolean()), { minLength: 2, maxLength: 5 }), (bodies) => {
        const all = bodies.map(([lengths, announces], n) => {
          const pieces = lengths.map((length, i) => Buffer.alloc(length, 1 + ((n * 50 + i) % 250)));
          const whole = Buffer.concat(pieces);
          return { pieces, whole, ...reading(64 * MIB, announces ? whole.length : undefined, room) };
        });
        const most = Math.max(...all.map(({ pieces }) => pieces.length));
        for (let i = 0; i < most; i++)
          for (const { pieces, send } of all) if (pieces[i] !== undefined) send(pieces[i]!);
        const read = all.map(({ end }) => end());
        for (const [n, body] of read.entries()) expect(body?.equals(all[n]!.whole)).toBe(true);
        for (const { body, budget } of all) {
          body.release();
          body.release();
          expect(budget.used).toBe(0);
        }
      }),
    );
  });

  it('takes no memory for a body that is only announced', () => {
    const taken: number[] = [];
    class Watched extends BodyRoom {
      override take(bytes: number): Buffer {
        taken.push(bytes);
        return super.take(bytes);
      }
    }
    const { end, send } = reading(64 * MIB, 32 * MIB, new Watched());
    send(Buffer.alloc(100_000));
    expect(taken).toEqual([]);
    expect(end()?.length).toBe(100_000);
  });

  it('uses room again after it was given back', () => {
    const room = new BodyRoom();
    const first = room.take(100_000);
    room.give(first);
    expect(room.find(1_000_000)).toBeUndefined();
    expect(room.find(200_000)).toBe(first);
    expect(room.find(1)).toBeUndefined();
  });
});
