// Two projects: `unit` needs nothing but this checkout and OPA, `integration` starts real control planes.
import { defineConfig } from 'vitest/config';
export default defineConfig({
    test: {
        // A test that hangs must not hang the run; servers and workers of one file cannot leak into another's.
        pool: 'forks',
        restoreMocks: true,
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
                    include: ['test/{integration,interop,e2e}/**/*.test.ts'],
                    // Each file has its own etcd and kube-apiserver.
                    maxWorkers: 2,
                    testTimeout: 120_000,
                    hookTimeout: 180_000,
                },
            },
        ],
    },
});
