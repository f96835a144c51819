import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type IndexView, openView } from '../../../src/index/view.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import { decisionAppend, openTestLedger, recordingLog, uuid } from './support.ts';

let dir: string;
let ledger: Ledger;
let view: IndexView;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sealgate-view-'));
  ledger = await openTestLedger(dir, undefined, (head) => view?.notify(head));
  view = openView({ ledgerDir: ledger.dir, file: join(dir, 'index', 'index.sqlite'), log: recordingLog() });
  expect(await view.reached(ledger.head(), 10_000)).toBe(true);
});
afterEach(async () => {
  await view.close();
  await ledger.close('over');
  rmSync(dir, { recursive: true, force: true });
});

let made = 0;
const decide = (count = 1) =>
  ledger.append(
    'decision',
    Array.from({ length: count }, () => decisionAppend({ uid: uuid(made++) })),
  );

/** Decisions one at a time, and how many places the index was seen at meanwhile. */
async function stepsDuring(ms: number): Promise<number> {
  const seen = new Set<number | undefined>();
  for (const end = performance.now() + ms; performance.now() < end; await sleep(3)) {
    await decide();
    seen.add(view.position()?.size);
  }
  return seen.size;
}

describe('the view', () => {
  it('takes many commits in one step while nobody asks, and all of them soon after the last', async () => {
    const began = performance.now();
    const steps = await stepsDuring(1000);
    expect(steps).toBeLessThanOrEqual(2 + (performance.now() - began) / 250);
    const { size } = ledger.head();
    for (let i = 0; i < 200 && view.position()?.size !== size; i++) await sleep(20);
    expect(view.position()).toEqual({ shard: 0, size });
  });

  it('does not let whoever asks wait for the pace that it keeps while nobody does', async () => {
    const waits: number[] = [];
    for (let i = 0; i < 20; i++) {
      await decide();
      const asked = performance.now();
      const all = await Promise.all([view.reached(ledger.head(), 10_000), view.reached(ledger.head(), 10_000)]);
      waits.push(performance.now() - asked);
      expect(all).toEqual([true, true]);
      expect(view.position()).toEqual({ shard: 0, size: ledger.head().size });
    }
    waits.sort((a, b) => a - b);
    expect(waits[10]).toBeLessThan(100);
  });

  it('goes faster while somebody follows', async () => {
    const sizes: number[] = [];
    const stop = view.onAdvance(() => sizes.push(view.position()?.size ?? 0));
    const began = performance.now();
    const steps = await stepsDuring(1000);
    stop();
    // What it would do at most if nobody did, and some.
    expect(steps).toBeGreaterThan(3 + (performance.now() - began) / 250);
    expect(sizes).toEqual(sizes.toSorted((a, b) => a - b));
  });

  it('says that it has not reached what is not there', async () => {
    const { shard, size } = ledger.head();
    let steps = 0;
    const stop = view.onAdvance(() => steps++);
    const began = performance.now();
    expect(await view.reached({ shard, size: size + 1 }, 300)).toBe(false);
    stop();
    // Waiting for it keeps nobody busy.
    expect(steps).toBeLessThanOrEqual(2 + (performance.now() - began) / 20);
    await decide();
    expect(await view.reached({ shard, size: size + 1 }, 10_000)).toBe(true);
  });
});
