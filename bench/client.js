// A TLS client that costs little: prepared bytes out, just enough of HTTP/1.1 back to know the status and the end.
import { connect } from 'node:tls';
/** One keep-alive connection, one request at a time. */
export class Connection {
    #socket;
    #target;
    #answer;
    #received = '';
    constructor(socket, target) {
        this.#socket = socket;
        this.#target = target;
        socket.setNoDelay(true);
        socket.setEncoding('latin1');
        socket.on('data', (text) => this.#take(String(text)));
        socket.on('error', (error) => this.#answer?.reject(error));
        socket.on('close', () => this.#answer?.reject(new Error('the server closed the connection')));
    }
    static async open(target) {
        const { promise, resolve, reject } = Promise.withResolvers();
        const { port, ca, cert, key } = target;
        const client = cert === undefined || key === undefined ? {} : { cert, key };
        const socket = connect({ host: '127.0.0.1', port, ca, ...client }, resolve);
        socket.once('error', reject);
        await promise;
        socket.off('error', reject);
        return new Connection(socket, target);
    }
    /** Resolves with the body of a 200; rejects on anything else. */
    post(body) {
        const head = `POST ${this.#target.path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
        const answer = Promise.withResolvers();
        this.#answer = answer;
        this.#socket.cork();
        this.#socket.write(head, 'latin1');
        this.#socket.write(body);
        this.#socket.uncork();
        return answer.promise;
    }
    close() {
        this.#answer = undefined;
        this.#socket.destroy();
    }
    #take(text) {
        this.#received += text;
        const end = this.#received.indexOf('\r\n\r\n');
        if (end < 0)
            return;
        const length = Number(/\r\ncontent-length: (\d+)/i.exec(this.#received)?.[1] ?? 0);
        if (this.#received.length < end + 4 + length)
            return;
        const received = this.#received;
        this.#received = '';
        const answer = this.#answer;
        this.#answer = undefined;
        if (received.startsWith('HTTP/1.1 200 '))
            answer?.resolve(received.slice(end + 4));
        else
            answer?.reject(new Error(received.slice(0, 500)));
    }
}
