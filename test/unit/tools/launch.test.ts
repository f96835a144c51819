import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MEMORY, NODE_ARGS } from '../../../bench/server.ts';

const ROOT = join(import.meta.dirname, '../../..');

describe('the server', () => {
  it.each(['Dockerfile', 'sealgate', 'tools/image/main.ts'])(
    'is started by %s with the options for memory that the benchmark measures',
    (file) => {
      const text = readFileSync(join(ROOT, file), 'utf8');
      for (const wanted of [...NODE_ARGS, ...Object.entries(MEMORY).map(([name, value]) => `${name}=${value}`)]) {
        expect(text).toContain(wanted);
      }
    },
  );
});
