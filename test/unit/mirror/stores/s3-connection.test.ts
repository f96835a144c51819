import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { S3Options } from '../../../../src/mirror/stores/options.ts';
import { S3Connection } from '../../../../src/mirror/stores/s3-connection.ts';

const dir = mkdtempSync(join(tmpdir(), 'sealgate-s3-connection-'));
afterAll(() => rmSync(dir, { recursive: true }));
const connection = (s3: S3Options) => new S3Connection('s3://bucket/p', { clock: { now: () => 0 }, s3 });

describe('the connection to a bucket', () => {
  it('knows when everything passes a network in clear', () => {
    const clear = [
      'http://s3.example.com',
      'http://10.0.0.1:9000/',
      'HTTP://localhost.example.com',
      'http://127.0.0.1.example.com',
    ];
    const not = ['', 'https://s3.example.com', 'http://localhost:9000', 'http://127.0.0.1:9000/', 'http://[::1]:9000'];
    expect(clear.filter((endpoint) => !connection({ endpoint }).plaintext)).toEqual([]);
    expect(not.filter((endpoint) => connection({ endpoint }).plaintext)).toEqual([]);
  });

  it('refuses a CA file that cannot be read or is none, when it is made', () => {
    const empty = join(dir, 'empty.pem');
    writeFileSync(empty, 'no certificate');
    for (const caFile of [join(dir, 'absent.pem'), empty]) {
      expect(() => connection({ caFile }), caFile).toThrow(
        expect.objectContaining({ code: 'MIRROR_URL_INVALID', message: expect.stringContaining(caFile) }),
      );
    }
  });
});
