// Holds src/ to the table of rooms in .dependency-cruiser.cjs, after proving on a copy with planted violations that the
// checker sees them: a checker that reads no TypeScript at all finds nothing wrong either. Usage: node tools/check-layers.ts
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
const ROOT = join(import.meta.dirname, '..');
/** dependency-cruiser refuses TypeScript 7, whose API is another: this hook gives it TypeScript 6. */
const HOOK = join(import.meta.dirname, 'typescript6-hook.ts');
/** File to plant → its one import, and the rule that must name the file; without a rule it is only imported by another. */
const PLANTED = {
    'src/tlog/planted.ts': { from: '../ledger/entry.ts', rule: 'room-tlog' },
    'src/policy/planted.ts': { from: '../ledger/entry.ts', rule: 'room-policy', type: true },
    'src/lib/planted-room.ts': { from: '../ledger/entry.ts', rule: 'room-lib' },
    'src/tlog/planted-io.ts': { from: 'node:fs', rule: 'tlog-is-pure' },
    'src/elsewhere/planted.ts': { from: '../lib/errors.ts', rule: 'known-room' },
    'src/lib/planted-tool.ts': { from: '../../tools/tool-path.ts', rule: 'src-stands-alone' },
    'src/lib/planted-dev.ts': { from: 'fast-check', rule: 'no-dev-dependency' },
    'src/lib/planted-nowhere.ts': { from: './not-there.ts', rule: 'resolvable' },
    'src/lib/planted-a.ts': { from: './planted-b.ts', rule: 'no-cycle' },
    'src/lib/planted-b.ts': { from: './planted-a.ts' },
    'src/kube/planted.ts': { from: './index.ts', rule: 'no-barrel' },
    'src/kube/index.ts': { from: 'node:os' },
};
const PLANTED_RULES = Object.entries(PLANTED).flatMap(([file, { rule }]) => rule === undefined ? [] : [{ file, rule }]);
function check(root) {
    const depcruise = join(ROOT, 'node_modules', '.bin', 'depcruise');
    const args = ['--import', HOOK, depcruise, '--config', '.dependency-cruiser.cjs', '--output-type', 'json', 'src'];
    const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', maxBuffer: 256 << 20 });
    try {
        return JSON.parse(stdout).summary;
    }
    catch (cause) {
        throw new Error(`dependency-cruiser failed:\n${stderr || stdout.slice(0, 2000)}`, { cause });
    }
}
/** What was planted and not named by its rule. */
function missedPlants() {
    const copy = mkdtempSync(join(tmpdir(), 'sealgate-layers-'));
    try {
        for (const name of ['src', 'package.json', 'tsconfig.json', '.dependency-cruiser.cjs', 'tools/tool-path.ts']) {
            cpSync(join(ROOT, name), join(copy, name), { recursive: true });
        }
        symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
        for (const [file, { from, type }] of Object.entries(PLANTED)) {
            mkdirSync(dirname(join(copy, file)), { recursive: true });
            writeFileSync(join(copy, file), `import ${type ? 'type ' : ''}* as it from '${from}';\nexport type It = typeof it;\n`);
        }
        const { violations } = check(copy);
        return PLANTED_RULES.filter(({ file, rule }) => !violations.some((found) => found.from === file && found.rule.name === rule)).map(({ file, rule }) => `${file} breaks ${rule}, and the checker did not say so`);
    }
    finally {
        rmSync(copy, { recursive: true, force: true });
    }
}
const missed = missedPlants();
const { violations, totalCruised, totalDependenciesCruised } = check(ROOT);
const problems = [
    ...missed,
    ...violations.map((v) => `${v.rule.name}: ${v.from} → ${v.to}${v.comment ? ` (${v.comment})` : ''}`),
];
for (const problem of problems)
    console.error(problem);
console.log(`layers: ${PLANTED_RULES.length - missed.length} of ${PLANTED_RULES.length} planted violations caught; ` +
    `${violations.length} violations in ${totalCruised} modules, ${totalDependenciesCruised} imports`);
process.exitCode = problems.length > 0 || totalDependenciesCruised === 0 ? 1 : 0;
