// The image: small enough to be pulled while a cluster waits for it, with nothing in it to log into, and what it says of itself.
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { SEALGATE_IMAGE, sealgateArchive } from './images.ts';

interface Config {
  readonly config: {
    readonly User: string;
    readonly Entrypoint: readonly string[];
    readonly Labels: Readonly<Record<string, string>>;
  };
}

const MB = 1_000_000;
const archive = sealgateArchive();

/** What a line of shell prints about the file `$2` of the archive `$1`. */
function printed(script: string, file: string): string {
  const { status, stdout, stderr } = spawnSync('sh', ['-c', script, 'sh', archive, file], {
    encoding: 'utf8',
    maxBuffer: 64 * MB,
  });
  expect(status, stderr).toBe(0);
  return stdout;
}

const json = (file: string): unknown => JSON.parse(printed('tar -xOf "$1" "$2"', file));
const [manifest] = json('manifest.json') as { Config: string; Layers: string[]; RepoTags: string[] }[];
const layers = (script: string) => (manifest?.Layers ?? []).map((layer) => printed(script, layer));

describe('the image', () => {
  it('is below 130 MB compressed', () => {
    const sizes = layers('tar -xOf "$1" "$2" | gzip -c | wc -c').map(Number);
    const size = sizes.reduce((sum, each) => sum + each, 0) / MB;
    process.stdout.write(`the image: ${size.toFixed(0)} MB compressed\n`);
    expect(size).toBeLessThan(130);
    expect(size).toBeGreaterThan(20);
  }, 120_000);

  it('runs as nobody in particular, and says what it is', () => {
    expect(manifest?.RepoTags).toEqual([SEALGATE_IMAGE]);
    const { config } = json(manifest?.Config ?? '') as Config;
    expect(config).toMatchObject({ User: '65532:65532', Entrypoint: expect.arrayContaining(['node']) });
    expect(config.Labels).toMatchObject({
      'org.opencontainers.image.title': 'sealgate',
      'org.opencontainers.image.licenses': 'Apache-2.0',
      'org.opencontainers.image.version': SEALGATE_IMAGE.split(':')[1],
      'org.opencontainers.image.revision': expect.stringMatching(/^([0-9a-f]{40}|unknown)$/),
    });
  });

  it('has a bill of materials, and no shell or package manager', () => {
    const files = layers('tar -xOf "$1" "$2" | tar -tf -')
      .flatMap((listed) => listed.split('\n'))
      .map((name) => name.replace(/^\.?\//, ''));
    expect(files).toEqual(expect.arrayContaining(['opt/sealgate/bin/node', 'opt/sealgate/bin/opa']));
    expect(files).toContain('opt/sealgate/sbom.cdx.json');
    expect(files.filter((name) => /(^|\/)(sh|bash|dash|busybox|apt|apt-get|apk|npm|npx)$/.test(name))).toEqual([]);
  });
});
