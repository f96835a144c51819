import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cacheFolder } from '../../../src/cli/compiled.ts';
import { MAIN } from '../../support/sealgate.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'sealgate-compiled-'));
});
afterEach(() => rmSync(home, { recursive: true }));

describe('the cache of compiled sources', () => {
  it('lies in a folder of this user alone', () => {
    const folder = cacheFolder({ XDG_CACHE_HOME: home });
    expect(folder).toBe(join(home, 'sealgate', 'compiled'));
    expect(statSync(folder!).mode & 0o777).toBe(0o700);
  });

  it('is filled by a run of the program, whose output is the same with it and without', () => {
    const { NODE_COMPILE_CACHE: _, ...environment } = process.env;
    const run = (more: NodeJS.ProcessEnv) =>
      execFileSync(process.execPath, ['--no-warnings', MAIN, 'check', '--help'], { env: { ...environment, ...more } });
    const first = run({ XDG_CACHE_HOME: home });
    expect(readdirSync(join(home, 'sealgate', 'compiled'))).not.toEqual([]);
    expect(run({ XDG_CACHE_HOME: home })).toEqual(first);
    expect(run({ NODE_DISABLE_COMPILE_CACHE: '1' })).toEqual(first);
  });

  it('is not used where others may write, or where there can be no folder', () => {
    const folder = join(home, 'sealgate', 'compiled');
    mkdirSync(folder, { recursive: true });
    chmodSync(folder, 0o777);
    expect(cacheFolder({ XDG_CACHE_HOME: home })).toBeUndefined();
    writeFileSync(join(home, 'file'), '');
    expect(cacheFolder({ XDG_CACHE_HOME: join(home, 'file') })).toBeUndefined();
  });
});
