// The probe that a pod makes of its mirror's store after a start.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/lib/clock.ts';
import { SealgateError } from '../../../src/lib/errors.ts';
import { MirrorClosing } from '../../../src/mirror/patience.ts';
import { probeAtStart } from '../../../src/mirror/start-probe.ts';
import { openStore } from '../../../src/mirror/stores/open.ts';
import type { ProbedStore } from '../../../src/mirror/stores/probed.ts';
import { tempDir } from '../ledger/temp-ledger.ts';

/** A folder as it is, which answers only after so many attempts. */
function scene(failures: number) {
  const dir = tempDir();
  const real = openStore(join(dir, 'mirror'), { clock: systemClock() });
  let attempts = 0;
  const store = new Proxy(real, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (name === 'inspect' && ++attempts <= failures) {
        return () => {
          throw new SealgateError('MIRROR_UNAVAILABLE', 'it is away');
        };
      }
      return typeof value === 'function' ? value.bind(target) : value;
    },
  }) as ProbedStore;
  const lines: string[] = [];
  const waits: number[] = [];
  const nonces: string[] = [];
  const probe = (closeAfter = Number.POSITIVE_INFINITY) =>
    probeAtStart({
      store,
      ledgerDir: join(dir, 'ledger'),
      log: (level, fields, message) => void lines.push(`${level} ${JSON.stringify(fields)} ${message}`),
      nonce: () => {
        nonces.push(`n${nonces.length}`);
        return nonces.at(-1) as string;
      },
      sleep: async (ms) => {
        waits.push(ms);
        if (waits.length > closeAfter) throw new MirrorClosing();
      },
    });
  return { probe, lines, waits, nonces };
}

describe('the probe after a start', () => {
  it('says what the store does not do, in the log and in its status', async () => {
    const { probe, lines, waits } = scene(0);
    const status = await probe();
    expect(status?.failed).toEqual([]);
    expect(status?.warned).toEqual(
      expect.arrayContaining([expect.stringMatching(/^protection: /), expect.stringMatching(/^disk: /)]),
    );
    expect(lines).toHaveLength(status?.warned.length ?? 0);
    expect(lines.join('\n')).toMatch(/^warn .*"check":"protection"/m);
    expect(waits).toEqual([]);
  });

  it('is repeated, less and less often, while the store cannot be asked, and says nothing of that', async () => {
    const { probe, lines, waits, nonces } = scene(12);
    expect((await probe())?.warned.length).toBeGreaterThan(0);
    expect(waits).toHaveLength(12);
    expect(waits).toEqual([...waits].sort((a, b) => a - b));
    expect(Math.max(...waits)).toBe(3_600_000);
    expect(new Set(nonces).size).toBe(13);
    expect(lines.join('\n')).not.toMatch(/away/);
  });

  it('ends with the mirror', async () => {
    const { probe, lines, waits } = scene(100);
    expect(await probe(2)).toBeUndefined();
    expect(waits).toHaveLength(3);
    expect(lines).toEqual([]);
  });
});
