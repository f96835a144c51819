// `sealgate copy` through the command line that people have.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { event, openTestLedger, tempDir } from '../ledger/temp-ledger.js';
const MAIN = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));
const sealgate = (...args) => spawnSync(process.execPath, ['--no-warnings', MAIN, ...args], { encoding: 'utf8' });
it('copies the ledger of a data folder, says how much, and verify finds the copy whole', async () => {
    const root = tempDir();
    const ledger = await openTestLedger(root, { shardLimits: { entries: 3 } });
    for (let i = 0; i < 4; i++)
        await ledger.append('audit', [event({ i })]);
    const to = join(root, 'copy');
    expect(sealgate('copy', root, to)).toMatchObject({
        status: 0,
        stderr: '',
        stdout: 'shard 0: 3 entries\nshard 1: 3 entries\n',
    });
    await ledger.close('test');
    expect(sealgate('verify', to, '--key', ledger.vkey).status).toBe(0);
    const again = sealgate('copy', root, to);
    expect(again.status).toBe(1);
    expect(again.stderr).toContain('EXPORT_FAILED');
    expect(sealgate('copy', root).status).toBe(2);
});
