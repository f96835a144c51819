// Clients for tests of listeners: one that knows HTTP, and one that writes what it is told.
import { Agent, request } from 'node:https';
import { connect } from 'node:tls';
/** One request on a connection of its own, unless an agent is given. */
export function call(port, tls, options = {}) {
    const { method = 'POST', path = '/v1/test', body = '{}', headers = {}, agent = new Agent() } = options;
    return new Promise((resolve, reject) => {
        const outgoing = request({ host: '127.0.0.1', port, method, path, headers, agent, ...tls });
        outgoing.once('error', reject);
        outgoing.once('response', (response) => {
            const chunks = [];
            response.on('data', (chunk) => chunks.push(chunk));
            response.once('error', reject);
            response.once('end', () => resolve({
                status: response.statusCode ?? 0,
                headers: response.headers,
                text: Buffer.concat(chunks).toString(),
            }));
        });
        outgoing.end(body);
    });
}
/** A TLS connection on which a test writes its own bytes. */
export function raw(port, tls) {
    return new Promise((resolve, reject) => {
        let text = '';
        const socket = connect({ host: '127.0.0.1', port, ...tls });
        socket.setEncoding('utf8');
        socket.on('data', (chunk) => {
            text += chunk;
        });
        const closed = new Promise((done) => socket.once('close', () => done(text)));
        socket.once('error', reject);
        socket.once('secureConnect', () => {
            socket.off('error', reject).on('error', () => { });
            resolve({ socket, text: () => text, closed });
        });
    });
}
