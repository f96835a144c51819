// Three projects: `unit` needs nothing but this checkout and OPA, `integration` starts real control planes, `e2e` runs in a cluster
// (only inside the namespaces that test/e2e/main.ts makes).
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Tests in one cluster go in the order of their names; all others as vitest thinks best. */
class InOrder extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    if (files.some(({ project }) => project.name !== 'e2e')) return super.sort(files);
    return Promise.resolve(files.sort((a, b) => (a.moduleId < b.moduleId ? -1 : 1)));
  }
}

export default defineConfig({
  test: {
    // A test that hangs must not hang the run; servers and workers of one file cannot leak into another's.
    pool: 'forks',
    restoreMocks: true,
    sequence: { sequencer: InOrder },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          testTimeout: 20_000,
          hookTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/{integration,interop}/**/*.test.ts'],
          // Each file has its own etcd and kube-apiserver.
          maxWorkers: 2,
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/*.test.ts'],
          // All files share one cluster, in the order of their names, and what the first cannot do no later one can.
          isolate: false,
          maxWorkers: 1,
          fileParallelism: false,
          bail: 1,
          testTimeout: 240_000,
          hookTimeout: 400_000,
        },
      },
    ],
  },
});
