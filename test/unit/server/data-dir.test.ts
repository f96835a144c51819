import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openDataDir } from '../../../src/server/data-dir.ts';

describe('the folder for data', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sealgate-data-dir-'));
  afterAll(() => rmSync(dir, { recursive: true }));

  it('is made where it is missing, for its owner alone', () => {
    openDataDir(join(dir, 'a', 'b'));
    expect(statSync(join(dir, 'a', 'b')).mode & 0o777).toBe(0o700);
    expect(() => openDataDir(join(dir, 'a', 'b'))).not.toThrow();
  });

  it('is refused by its name where it cannot be made', () => {
    const file = join(dir, 'file');
    writeFileSync(file, '');
    const refused = expect.objectContaining({ code: 'LEDGER_READ_ONLY', message: expect.stringContaining(file) });
    expect(() => openDataDir(file)).toThrow(refused);
    expect(() => openDataDir(join(file, 'below'))).toThrow(refused);
  });
});
