import { describe, expect, it } from 'vitest';
import { parsePolicy, quorumReached } from '../../../src/tlog/policy.js';
import { formatVkey, makeVerifierKey } from '../../../src/tlog/vkey.js';
const vkey = (name, byte, type = 'cosignature/v1') => formatVkey(makeVerifierKey(name, type, Buffer.alloc(32, byte)));
const witness = (name, byte, rest = '') => `witness ${name} ${vkey(`w.example/${name}`, byte)}${rest}\n`;
const malformed = (text) => expect.objectContaining({ code: 'POLICY_MALFORMED', message: expect.stringContaining(text) });
/** Six witnesses in two groups, as in the specification. */
const POLICY = [
    '# of two organisations\n\n',
    `log ${vkey('example.com/log', 99, 'ed25519')} https://log.example/\n`,
    ...['X1', 'X2', 'X3'].map((name, i) => witness(name, i, i === 0 ? ' http://x1.example/prefix' : '')),
    '  group X-witnesses\t2 X1 X2 X3\n',
    ...['Y1', 'Y2', 'Y3'].map((name, i) => witness(name, i + 10)),
    'group Y-witnesses any Y1 Y2 Y3\n',
    'group X-and-Y all X-witnesses Y-witnesses\n',
    'quorum X-and-Y\n',
].join('');
describe('a witness policy', () => {
    it('names logs, witnesses and where they are', () => {
        const { logs, witnesses } = parsePolicy(POLICY);
        expect(logs).toMatchObject([{ key: { name: 'example.com/log' }, url: 'https://log.example/' }]);
        expect(witnesses.map(({ name }) => name)).toEqual(['X1', 'X2', 'X3', 'Y1', 'Y2', 'Y3']);
        expect(witnesses.map(({ url }) => url)).toEqual(['http://x1.example/prefix', ...Array(5).fill(undefined)]);
        expect(parsePolicy(Buffer.from(POLICY))).toEqual(parsePolicy(POLICY));
    });
    it.each([
        ['X1 X2 Y3', true],
        ['X1 X2 X3 Y1 Y2 Y3', true],
        ['X1 X2', false],
        ['X1 Y1 Y2 Y3', false],
        ['', false],
    ])('is held by cosignatures of %j: %s', (names, reached) => {
        const policy = parsePolicy(POLICY);
        const keys = policy.witnesses.filter(({ name }) => names.split(' ').includes(name)).map(({ key }) => key);
        expect(quorumReached(policy, keys)).toBe(reached);
    });
    it('counts a key, not a name: a stranger of the same name cosigns for nobody', () => {
        const policy = parsePolicy(`${witness('A', 1)}quorum A\n`);
        expect(quorumReached(policy, [makeVerifierKey('w.example/A', 'cosignature/v1', Buffer.alloc(32, 2))])).toBe(false);
        expect(quorumReached(policy, [makeVerifierKey('w.example/A', 'cosignature/v1', Buffer.alloc(32, 1))])).toBe(true);
    });
    it('asks for nothing when the quorum is none', () => {
        expect(quorumReached(parsePolicy('quorum none\n'), [])).toBe(true);
    });
    it.each([
        ['no quorum', witness('A', 1), 'no quorum'],
        ['a second quorum', 'quorum none\nquorum none\n', 'line 2 of the policy is a second'],
        ['a word that is none', 'quorm none\n', 'begins with "quorm"'],
        ['a quorum not defined before it', `quorum A\n${witness('A', 1)}`, 'line 1 of the policy names A'],
        ['a name defined twice', `${witness('A', 1)}${witness('A', 2)}quorum A\n`, 'defined already'],
        ['a witness called none', `${witness('none', 1)}quorum none\n`, 'defines none'],
        ['the same key twice', `${witness('A', 1)}${witness('B', 1)}quorum A\n`, 'an earlier line has'],
        ['a log key for a witness', `witness A ${vkey('a', 1, 'ed25519')}\nquorum A\n`, 'type ed25519'],
        ['a witness key for a log', `log ${vkey('a', 1)}\nquorum none\n`, 'type cosignature/v1'],
        ['a key that is none', 'log abc\nquorum none\n', 'line 1'],
        ['a group of itself', 'group A any A\nquorum A\n', 'names A'],
        ['a member of two groups', `${witness('A', 1)}group B any A\ngroup C any A\nquorum C\n`, 'in a group already'],
        ['a member named twice', `${witness('A', 1)}group B 2 A A\nquorum B\n`, 'in a group already'],
        ['more than there are', `${witness('A', 1)}group B 2 A\nquorum B\n`, 'asks for 2 of 1'],
        ['none of them', `${witness('A', 1)}group B 0 A\nquorum B\n`, 'asks for 0 of 1'],
        ['an empty group', 'group B any\nquorum B\n', 'is not "group'],
        ['a carriage return', 'quorum none\r\n', 'control character'],
    ])('is refused with the line: %s', (_name, text, why) => {
        expect(() => parsePolicy(text)).toThrow(malformed(why));
    });
});
