// An ssh-agent with one Ed25519 key, as far as litewitness asks one (draft-miller-ssh-agent: identities, sign).
import { createHash, sign } from 'node:crypto';
import { createServer } from 'node:net';
import { rawPublicKey } from '../../src/tlog/ed25519.js';
const FAILURE = Buffer.of(5);
const string = (bytes) => {
    const content = Buffer.from(bytes);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(content.length);
    return Buffer.concat([length, content]);
};
const TYPE = 'ssh-ed25519';
/** Listens on a Unix socket. */
export async function startSshAgent(socket, key) {
    const blob = Buffer.concat([string(TYPE), string(rawPublicKey(key))]);
    const one = Buffer.of(0, 0, 0, 1);
    const answer = (message) => {
        if (message[0] === 11)
            return Buffer.concat([Buffer.of(12), one, string(blob), string('test')]);
        if (message[0] !== 13)
            return FAILURE;
        const keyEnd = 5 + message.readUInt32BE(1);
        if (!message.subarray(5, keyEnd).equals(blob))
            return FAILURE;
        const data = message.subarray(keyEnd + 4, keyEnd + 4 + message.readUInt32BE(keyEnd));
        return Buffer.concat([Buffer.of(14), string(Buffer.concat([string(TYPE), string(sign(null, data, key))]))]);
    };
    const sockets = new Set();
    const server = createServer((client) => {
        sockets.add(client);
        let rest = Buffer.alloc(0);
        client.on('error', () => client.destroy());
        client.on('data', (chunk) => {
            rest = Buffer.concat([rest, Buffer.from(chunk)]);
            while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
                const end = 4 + rest.readUInt32BE(0);
                client.write(string(answer(rest.subarray(4, end))));
                rest = rest.subarray(end);
            }
        });
    });
    await new Promise((resolve) => server.listen(socket, resolve));
    const digest = createHash('sha256').update(blob).digest('base64').replace(/=+$/, '');
    return {
        fingerprint: `SHA256:${digest}`,
        close: () => {
            for (const client of sockets)
                client.destroy();
            server.close();
        },
    };
}
