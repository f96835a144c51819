// An HTTP proxy in front of a real server that does to each request what a rule says: the network and the server on bad days.
import { createServer, request } from 'node:http';
/** Starts it on loopback. The Host header is passed on as it comes, because it is part of what is signed. */
export async function startFaultProxy(target, first) {
    const requests = [];
    let rule = first;
    let faults = 0;
    const server = createServer((req, res) => {
        void (async () => {
            const chunks = [];
            for await (const chunk of req)
                chunks.push(chunk);
            const url = new URL(req.url ?? '/', target);
            const proxied = {
                method: req.method ?? 'GET',
                path: url.pathname,
                query: url.searchParams,
                headers: req.headers,
                body: Buffer.concat(chunks),
                index: requests.length,
            };
            requests.push(proxied);
            const fault = rule?.(proxied);
            if (fault !== undefined)
                faults++;
            await play(fault, () => forward(target, req, proxied.body), res);
        })().catch(() => res.destroy());
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    return {
        endpoint: `http://127.0.0.1:${server.address().port}`,
        requests,
        get faults() {
            return faults;
        },
        rule(next) {
            rule = next;
        },
        async stop() {
            server.closeAllConnections();
            await new Promise((resolve) => server.close(resolve));
        },
    };
}
async function play(fault, send, res) {
    switch (fault?.kind) {
        case undefined:
            return reply(res, await send());
        case 'reset':
            if (fault.when === 'after')
                await send();
            res.socket?.resetAndDestroy();
            return;
        case 'slow':
            await new Promise((resolve) => setTimeout(resolve, fault.ms));
            return reply(res, await send());
        case 'stall':
            return;
        case 'status': {
            const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${fault.code}</Code><Message>planted</Message></Error>`;
            return reply(res, {
                status: fault.status,
                headers: { 'content-type': 'application/xml', date: new Date().toUTCString(), ...fault.headers },
                body: Buffer.from(body),
            });
        }
        case 'truncate': {
            const answer = await send();
            const body = answer.body.subarray(0, fault.bytes);
            if (fault.relabel)
                return reply(res, { ...answer, headers: { ...answer.headers, 'content-length': String(body.length) }, body });
            res.writeHead(answer.status, { ...answer.headers, 'content-length': String(answer.body.length) });
            res.write(body, () => res.socket?.end());
            return;
        }
        case 'flip': {
            const answer = await send();
            const body = Buffer.from(answer.body);
            if (body.length > 0)
                body.writeUInt8(body.readUInt8(body.length >> 1) ^ 1, body.length >> 1);
            return reply(res, { ...answer, body });
        }
        case 'duplicate':
            await send();
            return reply(res, await send());
        case 'date': {
            const answer = await send();
            return reply(res, { ...answer, headers: { ...answer.headers, date: fault.date.toUTCString() } });
        }
    }
}
function reply(res, { status, headers, body }) {
    res.sendDate = false;
    res.writeHead(status, headers);
    res.end(body);
}
function forward(target, req, body) {
    return new Promise((resolve, reject) => {
        const { hostname, port } = new URL(target);
        const { connection, ...headers } = req.headers;
        const sent = request({
            hostname,
            port,
            method: req.method,
            path: req.url,
            headers: { ...headers, 'content-length': body.length },
            agent: false,
        }, (answer) => {
            const chunks = [];
            answer.on('data', (chunk) => chunks.push(chunk));
            answer.on('error', reject);
            answer.on('end', () => {
                const { connection: _, 'transfer-encoding': chunked, ...rest } = answer.headers;
                const all = Object.fromEntries(Object.entries(rest).filter((pair) => pair[1] !== undefined));
                resolve({ status: answer.statusCode ?? 0, headers: all, body: Buffer.concat(chunks) });
            });
        });
        sent.on('error', reject);
        sent.end(body);
    });
}
