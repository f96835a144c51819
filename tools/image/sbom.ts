// The bill of materials: npm's own of the packages, with what is in the image besides them.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import type { Component } from './libraries.ts';

/** Writes CycloneDX JSON for the application in `app` and the `others`. */
export function writeSbom(app: string, file: string, others: readonly Component[]): void {
  const made = spawnSync('npm', ['sbom', '--sbom-format=cyclonedx', '--omit=dev', '--package-lock-only'], {
    cwd: app,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (made.status !== 0) throw new Error(`npm sbom failed: ${made.stderr}`);
  const bom = JSON.parse(made.stdout);
  for (const { name, version } of others) {
    bom.components.push({ 'bom-ref': `${name}@${version}`, type: 'application', name, version });
  }
  writeFileSync(file, `${JSON.stringify(bom, null, 2)}\n`);
}
