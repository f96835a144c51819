import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { addSettingOptions } from '../../../src/config/flags.js';
import { loadSettings } from '../../../src/config/loader.js';
import { allSettings, root } from '../../../src/config/names.js';
import { settingsSchema } from '../../../src/config/schema.js';
import { DEFAULT_REDACT_SETTINGS } from '../../../src/redact/settings.js';
import { EXAMPLE, settingsPage } from '../../../tools/docs/settings-page.js';
describe('the schema of the settings', () => {
    it('is a valid JSON Schema that its own defaults and examples satisfy', () => {
        const ajv = new Ajv2020({ strict: true });
        expect(ajv.validateSchema(settingsSchema)).toBe(true);
        for (const { name, schema } of allSettings()) {
            const validate = ajv.compile(schema);
            for (const value of [...(schema.default === undefined ? [] : [schema.default]), ...(schema.examples ?? [])]) {
                expect(validate(value), `${name}: ${JSON.stringify(value)}`).toBe(true);
            }
        }
    });
    it('describes every setting and section in a sentence, and bounds every number, text and list', () => {
        const visit = (node, name) => {
            if (name !== '')
                expect(node.description, name).toMatch(/^[A-Z].*\.$/s);
            if (node.type === 'integer')
                expect([node.minimum, node.maximum], name).not.toContain(undefined);
            if (node.type === 'string')
                expect(node.enum ?? node.maxLength, name).toBeDefined();
            if (node.type === 'array')
                expect(node.maxItems, name).toBeDefined();
            for (const [key, child] of Object.entries(node.properties ?? {}))
                visit(child, `${name}.${key}`);
        };
        visit(root, '');
    });
    it('gives every setting a variable and a flag of its own, which commander knows', () => {
        const settings = allSettings();
        expect(settings.length).toBeGreaterThan(45);
        expect(new Set(settings.map(({ variable }) => variable)).size).toBe(settings.length);
        const command = addSettingOptions(new Command('serve'));
        const known = new Set(command.options.map(({ long }) => long));
        for (const { flag } of settings)
            expect(known).toContain(flag);
        expect(settings.find(({ name }) => name === 'admission.bodyLimitBytes')).toMatchObject({
            variable: 'SEALGATE_ADMISSION_BODY_LIMIT_BYTES',
            flag: '--admission-body-limit-bytes',
        });
        expect(settings.find(({ name }) => name === 'policy.memoryLimitMiB')).toMatchObject({
            variable: 'SEALGATE_POLICY_MEMORY_LIMIT_MIB',
            flag: '--policy-memory-limit-mib',
        });
    });
    it('has the defaults of the redactor, which may not be imported from here', () => {
        expect(loadSettings({}).settings.redact).toEqual(DEFAULT_REDACT_SETTINGS);
    });
});
describe('docs/settings.md', () => {
    it('is what `make generate` makes of the schema', () => {
        const page = readFileSync(join(import.meta.dirname, '../../../docs/settings.md'), 'utf8');
        expect(page).toBe(settingsPage());
    });
    it('shows an example that loads', () => {
        const dir = mkdtempSync(join(tmpdir(), 'sealgate-example-'));
        const config = join(dir, 'settings.yaml');
        writeFileSync(config, EXAMPLE);
        expect(loadSettings({ flags: { config } }).settings.identity.cluster).toBe('prod-eu-1');
        rmSync(dir, { recursive: true });
    });
});
