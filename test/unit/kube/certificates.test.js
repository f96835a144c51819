import 'reflect-metadata'; // @peculiar/x509 needs it loaded first
import { createPrivateKey, KeyObject, webcrypto, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import { BasicConstraintsExtension, KeyUsageFlags, KeyUsagesExtension, X509Certificate as PeculiarCertificate, X509CertificateGenerator, } from '@peculiar/x509';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openCertificates } from '../../../src/kube/certificates.js';
import { SealgateError } from '../../../src/lib/errors.js';
const DAY = 86_400_000;
let dir;
let opened = [];
let problems = [];
let now;
beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'sealgate-tls-'));
    problems = [];
    now = Date.now();
});
afterEach(() => {
    for (const certificates of opened)
        certificates.close();
    opened = [];
    rmSync(dir, { recursive: true, force: true });
});
const inDir = (...path) => join(dir, ...path);
const text = (...path) => readFileSync(inDir(...path), 'utf8');
const parsed = (...path) => new X509Certificate(text(...path));
async function open(name, changes = {}) {
    const certificates = await openCertificates({
        name,
        dir: inDir('tls', name),
        hostnames: ['sealgate.sealgate.svc', '10.96.0.44'],
        validityDays: 90,
        caValidityDays: 3650,
        client: name === 'audit',
        given: {},
        now: () => now,
        pollMs: 1_000_000,
        onChange: () => { },
        onProblem: (error) => problems.push(error),
        ...changes,
    });
    opened.push(certificates);
    return certificates;
}
/** What each end of a TLS connection says of the other. */
async function handshake(server, client) {
    const listener = createServer({ ...server, requestCert: server.ca !== undefined, rejectUnauthorized: false }).listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const accepted = once(listener, 'secureConnection');
    const { port } = listener.address();
    const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', rejectUnauthorized: false, ...client });
    await once(socket, 'secureConnect');
    const [peer] = await accepted;
    const result = { serverTrusted: socket.authorized, clientTrusted: peer.authorized };
    socket.destroy();
    listener.close();
    return result;
}
describe('the first start', () => {
    it('issues a CA and a server certificate for admission, and a client certificate too for audit', async () => {
        await open('admission');
        await open('audit');
        expect(readdirSync(inDir('tls')).sort()).toEqual(['admission', 'audit']);
        expect(readdirSync(inDir('tls', 'admission')).sort()).toEqual(['ca.crt', 'ca.key', 'tls.crt', 'tls.key']);
        expect(readdirSync(inDir('tls', 'audit')).sort()).toEqual([
            'ca.crt',
            'ca.key',
            'client.crt',
            'client.key',
            'tls.crt',
            'tls.key',
        ]);
        expect(text('tls', 'admission', 'ca.crt')).not.toBe(text('tls', 'audit', 'ca.crt'));
        expect(problems).toEqual([]);
    });
    it('keeps keys to their owner', async () => {
        await open('audit');
        const mode = (path) => statSync(inDir('tls', 'audit', path)).mode & 0o777;
        for (const key of ['ca.key', 'tls.key', 'client.key'])
            expect(mode(key)).toBe(0o600);
        expect(mode('.')).toBe(0o700);
    });
    it('names this machine and the hosts of the settings', async () => {
        await open('admission');
        const certificate = parsed('tls', 'admission', 'tls.crt');
        for (const host of ['localhost', 'sealgate.sealgate.svc'])
            expect(certificate.checkHost(host)).toBe(host);
        for (const ip of ['127.0.0.1', '::1', '10.96.0.44'])
            expect(certificate.checkIP(ip)).toBe(ip);
        expect(certificate.checkHost('elsewhere')).toBeUndefined();
    });
    it('makes certificates that serve their purpose and no other', async () => {
        await open('audit');
        const read = (name) => ({
            cert: text('tls', 'audit', `${name}.crt`),
            key: text('tls', 'audit', `${name}.key`),
        });
        const ca = text('tls', 'audit', 'ca.crt');
        const [server, client] = [read('tls'), read('client')];
        expect(await handshake({ ...server, ca }, { ca, ...client })).toEqual({ serverTrusted: true, clientTrusted: true });
        expect((await handshake({ ...server, ca }, { ca, ...server })).clientTrusted).toBe(false);
        expect((await handshake(client, { ca })).serverTrusted).toBe(false);
    });
    it('makes a CA that can sign end certificates only, and those sign nothing', async () => {
        await open('audit');
        const extensions = (name) => new PeculiarCertificate(text('tls', 'audit', name));
        const ca = extensions('ca.crt');
        expect(ca.getExtension(BasicConstraintsExtension)).toMatchObject({ ca: true, pathLength: 0, critical: true });
        expect(ca.getExtension(KeyUsagesExtension)).toMatchObject({
            usages: KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign,
            critical: true,
        });
        for (const name of ['tls.crt', 'client.crt']) {
            expect(extensions(name).getExtension(BasicConstraintsExtension)).toMatchObject({ ca: false, critical: true });
            expect(extensions(name).getExtension(KeyUsagesExtension)?.usages).toBe(KeyUsageFlags.digitalSignature);
        }
    });
    it('gives the server its time, and the CA and the client theirs', async () => {
        const { current } = await open('audit');
        const days = (name) => (parsed('tls', 'audit', name).validToDate.getTime() - now) / DAY;
        expect(days('tls.crt')).toBeCloseTo(90, 2);
        expect(days('ca.crt')).toBeCloseTo(3650, 2);
        expect(days('client.crt')).toBeCloseTo(3650, 2);
        expect(current.expires).toEqual(parsed('tls', 'audit', 'tls.crt').validToDate);
        expect(current.caExpires).toEqual(parsed('tls', 'audit', 'ca.crt').validToDate);
        expect(parsed('tls', 'audit', 'tls.crt').validFromDate.getTime()).toBeLessThan(now - 60_000);
    });
    it('works beyond 2050, where X.509 writes dates differently', async () => {
        await open('audit', { caValidityDays: 36_500 });
        expect(parsed('tls', 'audit', 'ca.crt').validToDate.getUTCFullYear()).toBeGreaterThan(2100);
        const { cert, key, clientCa } = (await open('audit', { caValidityDays: 36_500 })).current.material;
        expect((await handshake({ cert, key }, { ca: clientCa })).serverTrusted).toBe(true);
    });
    it('lets both ends of a connection trust each other', async () => {
        const { cert, key, clientCa } = (await open('audit')).current.material;
        const ca = text('tls', 'audit', 'ca.crt');
        const client = { ca, cert: text('tls', 'audit', 'client.crt'), key: text('tls', 'audit', 'client.key') };
        expect(clientCa).toBe(ca);
        expect(await handshake({ cert, key, ca: clientCa }, client)).toEqual({ serverTrusted: true, clientTrusted: true });
        await open('admission');
        const stranger = { ca, cert: text('tls', 'admission', 'tls.crt'), key: text('tls', 'admission', 'tls.key') };
        expect((await handshake({ cert, key, ca: clientCa }, stranger)).clientTrusted).toBe(false);
    });
    it('asks no client for a certificate on the admission side', async () => {
        expect((await open('admission')).current.material.clientCa).toBeUndefined();
    });
    it('fills a folder that is there but empty, and clears away what a crash left beside it', async () => {
        mkdirSync(inDir('tls', 'admission'), { recursive: true });
        mkdirSync(inDir('tls', 'admission.new-abc'));
        writeFileSync(inDir('tls', 'admission.new-abc', 'ca.key'), 'x');
        await open('admission');
        expect(readdirSync(inDir('tls'))).toEqual(['admission']);
    });
    it('says where it cannot write', async () => {
        writeFileSync(inDir('tls'), 'a file');
        await expect(open('admission')).rejects.toMatchObject({
            code: 'CERTIFICATE_INVALID',
            message: expect.stringContaining(inDir('tls', 'admission')),
        });
    });
});
describe('a later start', () => {
    const all = () => readdirSync(inDir('tls', 'audit')).map((name) => [name, text('tls', 'audit', name)]);
    it('changes nothing', async () => {
        await open('audit');
        const before = all();
        now += 59 * DAY;
        await open('audit');
        expect(all()).toEqual(before);
    });
    it('renews the server certificate when a third of its time is left, under the same CA and for the same key', async () => {
        await open('audit');
        const before = Object.fromEntries(all());
        now += 61 * DAY;
        const { current } = await open('audit');
        const after = Object.fromEntries(all());
        expect(Object.keys(after).filter((name) => after[name] !== before[name])).toEqual(['tls.crt']);
        expect(current.material.cert).toBe(after['tls.crt']);
        expect((current.expires.getTime() - now) / DAY).toBeCloseTo(90, 2);
        expect(parsed('tls', 'audit', 'tls.crt').verify(parsed('tls', 'audit', 'ca.crt').publicKey)).toBe(true);
        expect(problems).toEqual([]);
    });
    it('renews it when the settings name a host that it lacks', async () => {
        await open('admission');
        await open('admission', { hostnames: ['other.example'] });
        expect(parsed('tls', 'admission', 'tls.crt').checkHost('other.example')).toBe('other.example');
    });
    it('never makes it last longer than the CA, nor renews it again and again then', async () => {
        await open('admission', { caValidityDays: 100 });
        now += 61 * DAY;
        await open('admission', { caValidityDays: 100 });
        const ca = parsed('tls', 'admission', 'ca.crt');
        expect(parsed('tls', 'admission', 'tls.crt').validToDate).toEqual(ca.validToDate);
        const before = text('tls', 'admission', 'tls.crt');
        now += 30 * DAY;
        await open('admission', { caValidityDays: 100 });
        expect(text('tls', 'admission', 'tls.crt')).toBe(before);
    });
    it('goes on when the keys of the CA and the client were taken away, as they may be', async () => {
        await open('audit');
        for (const name of ['ca.key', 'client.key', 'client.crt'])
            rmSync(inDir('tls', 'audit', name));
        await open('audit');
        expect(problems).toEqual([]);
    });
});
describe('what cannot be used', () => {
    const spoil = {
        'a certificate that is no PEM': () => writeFileSync(inDir('tls', 'admission', 'tls.crt'), 'x'),
        'a certificate that is damaged': () => {
            const pem = text('tls', 'admission', 'tls.crt');
            writeFileSync(inDir('tls', 'admission', 'tls.crt'), pem.replace(/[A-Za-z]{20}/, 'A'.repeat(20)));
        },
        'a key that is no PEM': () => writeFileSync(inDir('tls', 'admission', 'tls.key'), 'x'),
        'a key of another certificate': () => cpSync(inDir('tls', 'admission', 'ca.key'), inDir('tls', 'admission', 'tls.key')),
        'a certificate that is missing': () => rmSync(inDir('tls', 'admission', 'tls.crt')),
        'a key that is missing': () => rmSync(inDir('tls', 'admission', 'tls.key')),
        'a CA that is missing': () => rmSync(inDir('tls', 'admission', 'ca.crt')),
        'a CA of another certificate': () => cpSync(inDir('tls', 'audit', 'ca.crt'), inDir('tls', 'admission', 'ca.crt')),
    };
    it.each(Object.entries(spoil))('such as %s is refused, naming the file, and nothing is replaced', async (what, harm) => {
        await open('admission');
        await open('audit');
        harm();
        const before = readdirSync(inDir('tls', 'admission')).map((name) => text('tls', 'admission', name));
        const file = what.includes('CA') ? 'ca.crt' : what.startsWith('a key') ? 'tls.key' : 'tls.crt';
        await expect(open('admission')).rejects.toMatchObject({
            code: 'CERTIFICATE_INVALID',
            message: expect.stringContaining(inDir('tls', 'admission', file)),
        });
        expect(readdirSync(inDir('tls', 'admission')).map((name) => text('tls', 'admission', name))).toEqual(before);
    });
    it('such as a CA that has expired is refused with the remedy', async () => {
        await open('admission');
        now += 3651 * DAY;
        await expect(open('admission')).rejects.toMatchObject({
            message: expect.stringMatching(/ca\.crt expired on .*move .* away/),
        });
    });
    it('such as a CA key that is missing when the certificate must be renewed is named', async () => {
        await open('admission');
        rmSync(inDir('tls', 'admission', 'ca.key'));
        now += 61 * DAY;
        await expect(open('admission')).rejects.toMatchObject({ message: expect.stringMatching(/ca\.key: put it back/) });
    });
});
describe('given files', () => {
    const given = () => ({ certFile: inDir('given', 'tls.crt'), keyFile: inDir('given', 'tls.key') });
    beforeEach(async () => {
        await open('admission', { dir: inDir('given') });
        opened.pop()?.close();
    });
    it('are used and nothing is issued', async () => {
        const { current } = await open('admission', { given: given() });
        expect(current.material).toEqual({ cert: text('given', 'tls.crt'), key: text('given', 'tls.key') });
        expect(current.caExpires).toBeUndefined();
        expect(readdirSync(dir)).toEqual(['given']);
    });
    it('may name the CA of clients alone', async () => {
        const { current } = await open('admission', { given: { clientCaFile: inDir('given', 'ca.crt') } });
        expect(current.material.clientCa).toBe(text('given', 'ca.crt'));
        expect(current.material.cert).toBe(text('tls', 'admission', 'tls.crt'));
    });
    it('for the audit server leave the issued CA to vouch for clients', async () => {
        const { current } = await open('audit', { given: given() });
        expect(current.material.cert).toBe(text('given', 'tls.crt'));
        expect(current.material.clientCa).toBe(text('tls', 'audit', 'ca.crt'));
    });
    it.each([
        ['that are missing', () => rmSync(inDir('given', 'tls.key')), /tls\.key cannot be read \(ENOENT/],
        [
            'that do not belong together',
            () => cpSync(inDir('given', 'ca.key'), inDir('given', 'tls.key')),
            /tls\.key is not the key of .*tls\.crt/,
        ],
        ['with a passphrase', () => lock(), /tls\.key holds no private key.*passphrase/],
        ['with too weak a key', () => weaken(), /cannot be used for TLS .*replace them/],
    ])('%s are refused by name', async (_, harm, message) => {
        await harm();
        await expect(open('admission', { given: given() })).rejects.toMatchObject({
            code: 'CERTIFICATE_INVALID',
            message: expect.stringMatching(message),
        });
    });
    it('for client CAs that hold none are refused by name', async () => {
        writeFileSync(inDir('empty.crt'), '');
        await expect(open('admission', { given: { clientCaFile: inDir('empty.crt') } })).rejects.toMatchObject({
            message: expect.stringMatching(/empty\.crt holds no CA certificate/),
        });
    });
    it('that have expired are used, with a loud word: somebody may be about to replace them', async () => {
        now += 100 * DAY;
        await open('admission', { given: given() });
        expect(problems.map(({ message }) => message)).toEqual([expect.stringMatching(/expired on .*replace it/)]);
    });
    function lock() {
        const { keyFile } = given();
        const options = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' };
        writeFileSync(keyFile, createPrivateKey(readFileSync(keyFile)).export(options));
    }
    async function weaken() {
        const algorithm = {
            name: 'RSASSA-PKCS1-v1_5',
            hash: 'SHA-256',
            modulusLength: 512,
            publicExponent: new Uint8Array([1, 0, 1]),
        };
        const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
        const certificate = await X509CertificateGenerator.createSelfSigned({ name: 'CN=weak', keys, signingAlgorithm: algorithm }, webcrypto);
        writeFileSync(given().certFile, certificate.toString('pem'));
        writeFileSync(given().keyFile, KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }));
    }
});
describe('while it runs', () => {
    it('files that change are taken over without a restart', async () => {
        await open('admission', { dir: inDir('one') });
        await open('admission', { dir: inDir('two') });
        cpSync(inDir('one'), inDir('given'), { recursive: true });
        const given = { certFile: inDir('given', 'tls.crt'), keyFile: inDir('given', 'tls.key') };
        const onChange = vi.fn();
        const certificates = await open('admission', { given, pollMs: 20, onChange });
        cpSync(inDir('two', 'tls.key'), given.keyFile);
        cpSync(inDir('two', 'tls.crt'), given.certFile);
        await vi.waitFor(() => expect(onChange).toHaveBeenCalled());
        const cert = text('two', 'tls.crt');
        expect(onChange.mock.calls.map(([current]) => current.material.cert)).toEqual([cert]);
        expect(certificates.current.material.cert).toBe(cert);
    });
    it('files that are bad are reported once and the old ones stay, until they are good again', async () => {
        await open('admission', { dir: inDir('given') });
        const given = { certFile: inDir('given', 'tls.crt'), keyFile: inDir('given', 'tls.key') };
        const onChange = vi.fn();
        const certificates = await open('admission', { given, onChange });
        const good = text('given', 'tls.crt');
        writeFileSync(given.certFile, 'half a fi');
        await certificates.check();
        await certificates.check();
        expect(problems.map(({ code }) => code)).toEqual(['CERTIFICATE_INVALID']);
        expect(certificates.current.material.cert).toBe(good);
        writeFileSync(given.certFile, good);
        await certificates.check();
        expect(onChange).not.toHaveBeenCalled();
        writeFileSync(given.certFile, 'half a fi');
        await certificates.check();
        expect(problems).toHaveLength(2);
    });
    it('what the listener refuses is reported and tried again', async () => {
        const onChange = vi.fn().mockImplementationOnce(() => {
            throw new SealgateError('CERTIFICATE_INVALID', 'refused');
        });
        const certificates = await open('audit', { onChange });
        const before = certificates.current;
        now += 61 * DAY;
        await certificates.check();
        expect(problems.map(({ message }) => message)).toEqual(['refused']);
        expect(certificates.current).toBe(before);
        await certificates.check();
        expect(onChange).toHaveBeenCalledTimes(2);
        expect(certificates.current).not.toBe(before);
    });
    it('an issued certificate is renewed in time', async () => {
        const onChange = vi.fn();
        const certificates = await open('audit', { onChange });
        now += 61 * DAY;
        await certificates.check();
        expect(onChange).toHaveBeenCalledTimes(1);
        expect((certificates.current.expires.getTime() - now) / DAY).toBeCloseTo(90, 2);
    });
    it('a folder that vanishes is not filled with another CA behind everybody’s back', async () => {
        const certificates = await open('audit');
        rmSync(inDir('tls'), { recursive: true });
        await certificates.check();
        expect(problems.map(({ message }) => message)).toEqual([expect.stringMatching(/ca\.crt is missing: put it back/)]);
        expect(readdirSync(dir)).toEqual([]);
        expect(certificates.current.material.clientCa).toMatch(/BEGIN CERTIFICATE/);
    });
});
