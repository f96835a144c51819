// What a chaos class has to say for itself.
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
/** Folders under `base`, which may be in memory: what is tested is what reaches the kernel, not the disk. */
export function createTemp(base) {
    const root = mkdtempSync(join(base, 'sealgate-chaos-'));
    const remove = (folder) => rmSync(folder, { recursive: true, force: true });
    return {
        folder: () => mkdtempSync(join(root, 'r')),
        keep(folder) {
            const copy = mkdtempSync(join(tmpdir(), 'sealgate-chaos-kept-'));
            cpSync(folder, copy, { recursive: true });
            return copy;
        },
        remove,
        removeAll: () => remove(root),
    };
}
