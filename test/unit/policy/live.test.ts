import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { buildBundle, type CompiledBundle } from '../../../src/policy/bundle.ts';
import { startBundle } from '../../../src/policy/engine.ts';
import { FolderWatch } from '../../../src/policy/folder-watch.ts';
import { LiveEngine } from '../../../src/policy/live-engine.ts';
import { prepareBundle } from '../../../src/policy/prepare.ts';
import { signatureOf } from '../../../src/policy/sources.ts';
import type { PolicyEngine } from '../../../src/policy/types.ts';
import { toolPath } from '../../support/tools.ts';
import { folder, POD, removeFolders } from './support.ts';

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  removeFolders();
});

const opa = toolPath('opa');
const WAIT = { timeout: 60_000, interval: 10 };

function policy(message: string): string {
  return `package admission.a\n\ndeny contains "${message}"\n`;
}

function start(bundle: CompiledBundle): Promise<PolicyEngine> {
  return startBundle(bundle, { workers: 1, timeLimitMs: 20_000, maxPending: 1000 });
}

async function said(engine: PolicyEngine): Promise<string> {
  const { bundle, results } = await engine.evaluate(POD, Buffer.from('{}'), performance.now() + 60_000);
  return `${bundle} ${results.map(({ message }) => message).join()}`;
}

async function watched(dir: string): Promise<{ engine: LiveEngine; watch: FolderWatch; told: string[] }> {
  const prepare = (): Promise<CompiledBundle> => prepareBundle({ opa, dir, tests: true, inventory: false });
  const told: string[] = [];
  const signature = signatureOf(dir);
  const engine = new LiveEngine(await start(await prepare()));
  const watch = new FolderWatch(
    {
      ...{ dir, pollMs: 20, prepare },
      active: () => engine.bundle.digest,
      activate: async (bundle) => engine.exchange(await start(bundle)),
      onActivated: (digest) => told.push(`active ${digest}`),
      onRejected: (error) => told.push(`rejected ${error}`),
    },
    signature,
  );
  cleanups.push(
    () => engine.close(),
    () => watch.close(),
  );
  return { engine, watch, told };
}

describe('a policy folder that changes', () => {
  it('becomes active as a whole, while requests are evaluated, each by the one or the other', async () => {
    const dir = folder({ 'a.rego': policy('one') });
    const { engine, told } = await watched(dir);
    const first = engine.bundle.digest;
    let done = false;
    const answers = new Set<string>();
    const load = Array.from({ length: 4 }, async () => {
      while (!done) answers.add(await said(engine));
    });
    writeFileSync(join(dir, 'a.rego'), policy('two'));
    await expect.poll(() => told.length, WAIT).toBe(1);
    const second = engine.bundle.digest;
    expect(await said(engine)).toBe(`${second} two`);
    done = true;
    await Promise.all(load);
    expect(second).not.toBe(first);
    expect((await buildBundle(opa, dir)).info.digest).toBe(second);
    expect([...answers].every((answer) => answer === `${first} one` || answer === `${second} two`)).toBe(true);
  }, 120_000);

  it('does not become active with an error, a missing built-in or a failing test: the one before stays', async () => {
    const dir = folder({ 'a.rego': policy('one') });
    const { engine, watch, told } = await watched(dir);
    const first = await said(engine);
    const bad: [string, string, RegExp][] = [
      ['a.rego', 'package admission.a\n\ndeny contains "x" if {', /a\.rego:3: /],
      [
        'a.rego',
        'package admission.a\n\ndeny contains "x" if http.send({})',
        /a\.rego:3: .*built-in http\.send is not av/,
      ],
      [
        'a_test.rego',
        'package admission.a_test\n\ntest_it if false\n',
        /1 of its own tests failed\na_test\.rego:3: the test fails/,
      ],
      ['data.json', '{"a": ', /./],
    ];
    for (const [i, [file, text, wanted]] of bad.entries()) {
      writeFileSync(join(dir, 'a.rego'), policy('better'));
      writeFileSync(join(dir, file), text);
      await expect.poll(() => told.length, WAIT).toBeGreaterThan(i);
      expect(told[i]).toMatch(wanted);
      expect(watch.rejected).toMatch(wanted);
      expect(await said(engine)).toBe(first);
      writeFileSync(join(dir, 'a.rego'), policy('one'));
      rmSync(join(dir, file), { force: true });
      writeFileSync(join(dir, 'a.rego'), policy('one'));
      await expect.poll(() => watch.rejected, WAIT).toBeUndefined();
    }
    expect(told).toHaveLength(bad.length);
    expect(await said(engine)).toBe(first);
    rmSync(join(dir, 'a.rego'));
    await expect.poll(() => watch.rejected, WAIT).toMatch(/holds no policy/);
    expect(await said(engine)).toBe(first);
  }, 120_000);

  it('is seen when it is a mounted ConfigMap, whose files change by a link', async () => {
    const dir = folder({ '..one/a.rego': policy('one'), '..two/a.rego': policy('two') });
    symlinkSync('..one', join(dir, '..data'));
    symlinkSync(join('..data', 'a.rego'), join(dir, 'a.rego'));
    const { engine, told } = await watched(dir);
    symlinkSync('..two', join(dir, '..data_tmp'));
    renameSync(join(dir, '..data_tmp'), join(dir, '..data'));
    await expect.poll(() => told.length, WAIT).toBe(1);
    expect(await said(engine)).toMatch(/ two$/);
  }, 120_000);

  it('may hold no inventory of its own where the cluster fills it', async () => {
    const dir = folder({ 'a.rego': policy('one') });
    mkdirSync(join(dir, 'inventory'));
    writeFileSync(join(dir, 'inventory', 'data.json'), '{"cluster": {}}');
    const prepare = (inventory: boolean) => prepareBundle({ opa, dir, tests: true, inventory });
    await expect(prepare(true)).rejects.toThrow('data.inventory is filled from the cluster');
    expect((await prepare(false)).info.files).toHaveLength(2);
    const rules = folder({ 'a.rego': policy('one'), 'b.rego': '# Ours.\npackage inventory.cluster\n\nx := 1\n' });
    const refused = prepareBundle({ opa, dir: rules, tests: true, inventory: true });
    await expect(refused).rejects.toThrow('b.rego:2: data.inventory is filled from the cluster');
    expect((await prepareBundle({ opa, dir: rules, tests: true, inventory: false })).info.files).toHaveLength(2);
  });
});

describe('policies that look at the inventory', () => {
  it('wait until it is there, at most until the deadline; others do not', async () => {
    const looks = 'package admission.a\n\ndeny contains "duplicate" if data.inventory.cluster.x\n';
    const there = Promise.withResolvers<void>();
    const engineOf = async (text: string): Promise<LiveEngine> => {
      const engine = new LiveEngine(await start(await buildBundle(opa, folder({ 'a.rego': text }))), there.promise);
      cleanups.push(() => engine.close());
      return engine;
    };
    const [waits, goes] = [await engineOf(looks), await engineOf(policy('one'))];
    expect(await said(goes)).toMatch(/ one$/);
    const late = waits.evaluate(POD, Buffer.from('{}'), performance.now() + 50);
    await expect(late).rejects.toMatchObject({ code: 'POLICY_OVERLOADED' });
    const asked = said(waits);
    there.resolve();
    expect(await asked).toMatch(/^sha256:/);
  }, 120_000);
});
