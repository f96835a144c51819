import { loadPolicy } from '@open-policy-agent/opa-wasm';
import { afterEach, describe, expect, it } from 'vitest';
import { InputError, PolicyAbort } from '../../../src/policy/host.js';
import { toJson } from '../../../src/policy/terms.js';
import { builtinContext } from '../../support/builtin-context.js';
import { reviews } from './reviews.js';
import { build, instanceOf, removeFolders } from './support.js';
afterEach(removeFolders);
const CONTEXT = builtinContext();
const POLICY = `package admission.a

deny contains {"msg": "m", "users": users, "first": input.request.name} if input.request.namespace == data.names[_]

deny contains concat(" ", [verb | some verb in input.request.object.rules[_].verbs])

warn contains upper(input.request.kind.kind)

users contains input.request.userInfo.username

users contains group if some group in input.request.userInfo.groups
`;
const FILES = { 'a.rego': POLICY, 'data.json': '{"names": ["default", "prod-eu"]}' };
describe('the host', () => {
    it('gives what the SDK of OPA gives, on one parsed input for all entrypoints', async () => {
        const bundle = await build(FILES);
        const instance = await instanceOf(bundle);
        const sdk = await loadPolicy(new Uint8Array(bundle.wasm));
        sdk.setData({ names: ['default', 'prod-eu'] });
        for (const review of reviews(300, 7)) {
            instance.setInput(Buffer.from(JSON.stringify(review)));
            for (const entrypoint of ['admission/a/deny', 'admission/a/warn', 'admission/a/deny']) {
                const ours = instance.evaluate(entrypoint, CONTEXT);
                const [theirs] = sdk.evaluate(review, entrypoint);
                const sorted = (value) => value.map((member) => JSON.stringify(canonical(member))).sort();
                expect(sorted(ours && toJson(ours))).toEqual(sorted(theirs?.result));
            }
        }
    });
    it('leaves nothing of one input to the next, however many there are', async () => {
        const instance = await instanceOf(await build(FILES));
        const small = Buffer.from('{"request": {"kind": {"kind": "Pod"}}}');
        const large = Buffer.from(JSON.stringify({ request: { namespace: 'default', name: 'x'.repeat(100_000), list: Array(5000).fill(0) } }));
        const run = (input) => {
            instance.setInput(input);
            return [
                toJson(instance.evaluate('admission/a/deny', CONTEXT) ?? null),
                toJson(instance.evaluate('admission/a/warn', CONTEXT) ?? null),
            ];
        };
        const [first, firstLarge] = [run(small), run(large)];
        const memory = instance.memoryBytes;
        for (let i = 0; i < 500; i++) {
            expect(run(large)).toEqual(firstLarge);
            expect(run(small)).toEqual(first);
        }
        expect(instance.memoryBytes).toBeLessThan(memory + 2 * 1024 * 1024);
    });
    it('evaluates on after an input that is no JSON', async () => {
        const instance = await instanceOf(await build(FILES));
        expect(() => instance.setInput(Buffer.from('{'))).toThrow(InputError);
        instance.setInput(Buffer.from('{"request": {"kind": {"kind": "Pod"}}}'));
        expect(toJson(instance.evaluate('admission/a/warn', CONTEXT) ?? null)).toEqual(['POD']);
    });
    it('keeps sets apart from arrays on the way to a built-in and back', async () => {
        const rego = 'package admission.a\n\ndeny contains sprintf("%v %v", [{1, 2}, [1, 2]])\n\ndeny contains {"set": object.subset({{1}}, {{1}}), "array": object.subset({[1]}, {{1}})}\n';
        const instance = await instanceOf(await build({ 'a.rego': rego }));
        instance.setInput(Buffer.from('{}'));
        expect(toJson(instance.evaluate('admission/a/deny', CONTEXT) ?? null)).toEqual([
            '{1, 2} [1, 2]',
            { array: false, set: true },
        ]);
    });
    it('reports what the module aborts with', async () => {
        const instance = await instanceOf(await build({ 'a.rego': 'package admission.a\n\ndeny := {"x"} if true\n\ndeny := {"y"} if true\n' }));
        instance.setInput(Buffer.from('{}'));
        expect(() => instance.evaluate('admission/a/deny', CONTEXT)).toThrow(PolicyAbort);
        expect(() => instance.evaluate('admission/a/none', CONTEXT)).toThrow('no entrypoint admission/a/none');
    });
});
/** Keys in order, at every depth, and sets (arrays, by now) too: the SDK gives them in the module's order. */
function canonical(value) {
    if (Array.isArray(value))
        return value.map(canonical).sort();
    if (typeof value !== 'object' || value === null)
        return value;
    return Object.fromEntries(Object.entries(value)
        .sort()
        .map(([key, item]) => [key, canonical(item)]));
}
