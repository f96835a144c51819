import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { copyLedger } from '../../../src/ledger/copy.ts';
import { LedgerReader } from '../../../src/ledger/reader.ts';
import { verifyLedger } from '../../../src/ledger/verify.ts';
import { canMount, event, openTestLedger, places, rejection, tempDir, withMount } from './temp-ledger.ts';

describe('copyLedger', () => {
  it('copies a live ledger of several shards so that the copy is whole, while it goes on', async () => {
    const root = tempDir();
    const ledger = await openTestLedger(root, { shardLimits: { entries: 300 } });
    let stop = false;
    const load = (async () => {
      while (!stop) await ledger.append('audit', [event({ at: 'x'.repeat(500) })]);
    })();
    while (ledger.shard < 1)
      await ledger.append(
        'audit',
        Array.from({ length: 60 }, (_, i) => event({ i })),
      );
    await ledger.append('audit', [event({ last: true })]);
    const { shard, size } = ledger.head();
    const to = join(root, 'copy');
    const seen: number[] = [];
    const copied = await copyLedger(places(root).dir, to, { onProgress: ({ done }) => seen.push(done) });
    stop = true;
    await load;
    expect(copied.find((one) => one.shard === shard)!.entries).toBeGreaterThanOrEqual(size);
    expect(readdirSync(to).every((name) => /^shard-\d{6}\.sqlite$/.test(name))).toBe(true);
    expect(seen.length).toBeGreaterThan(0);
    expect(verifyLedger(to, { keys: [ledger.vkey] })).toMatchObject({ status: 'whole', findings: [] });
    const [source, copy] = [LedgerReader.open(places(root).dir), LedgerReader.open(to)];
    for (const { number, size: entries } of copy.shards()) {
      const last = copy.get(number, entries - 1)!;
      expect(source.get(number, entries - 1)).toEqual(last);
    }
    source.close();
    copy.close();
    await ledger.close('test');
  });

  it('refuses a folder that holds something, and changes nothing in it', async () => {
    const root = tempDir();
    await (await openTestLedger(root)).close('test');
    const to = join(root, 'copy');
    mkdirSync(to);
    writeFileSync(join(to, 'shard-000000.sqlite'), 'mine');
    expect((await rejection(copyLedger(places(root).dir, to))).code).toBe('EXPORT_FAILED');
    expect(readdirSync(to)).toEqual(['shard-000000.sqlite']);
    expect((await rejection(copyLedger(join(root, 'keys'), join(root, 'other')))).code).toBe('LEDGER_NOT_FOUND');
  });

  it('leaves nothing behind when a shard cannot be copied', async () => {
    const root = tempDir();
    await (await openTestLedger(root)).close('test');
    writeFileSync(join(places(root).dir, 'shard-000001.sqlite'), Buffer.alloc(9000, 1));
    const to = join(root, 'copy');
    expect((await rejection(copyLedger(places(root).dir, to))).code).toBe('LEDGER_NOT_A_LEDGER');
    expect(readdirSync(to)).toEqual([]);
  });

  it.runIf(canMount())(
    'copies from a folder where nothing can be written, and leaves no other copy behind',
    async () => {
      const root = tempDir();
      const ledger = await openTestLedger(root);
      await ledger.append('audit', [event({ at: 1 })]);
      const { vkey } = ledger;
      await ledger.close('test');
      const { dir } = places(root);
      const [temporary, to] = [join(root, 'tmp'), join(root, 'copy')];
      mkdirSync(temporary);
      const [command, ...args] = withMount('mount --bind "$D" "$D" && mount -o remount,ro,bind "$D"');
      const source = new URL('../../../src/ledger/copy.ts', import.meta.url).href;
      const script = `const { copyLedger } = await import('${source}');
      console.log(JSON.stringify(await copyLedger('${dir}', '${to}')));`;
      const { stdout, stderr } = spawnSync(
        command!,
        [...args, process.execPath, '--no-warnings', '--input-type=module', '-e', script],
        { encoding: 'utf8', env: { ...process.env, D: dir, TMPDIR: temporary } },
      );
      expect({ stdout, stderr }).toEqual({ stdout: '[{"shard":0,"entries":3}]\n', stderr: '' });
      expect(readdirSync(temporary)).toEqual([]);
      expect(verifyLedger(to, { keys: [vkey] })).toMatchObject({ status: 'whole', shards: [{ entries: 3 }] });
    },
  );
});
