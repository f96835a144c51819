// What a listener hands to a protocol handler and takes back from it: shared by server/, admission/ and audit/, so that
// the handlers know nothing of sockets and the listeners nothing of Kubernetes.

/** Who is at the other end of the connection, as TLS and TCP tell it. */
export interface Peer {
  /** Remote IP address. */
  readonly address: string;
  /** The verified client certificate, when one was presented. */
  readonly certificate?: {
    readonly commonName: string;
    readonly organizations: readonly string[];
    /** SHA-256 of the DER certificate, lowercase hex. */
    readonly fingerprint: string;
  };
}

export interface HttpRequest {
  readonly method: string;
  /** Path without the query string. */
  readonly path: string;
  /** Not to be changed: several requests may share it. */
  readonly query: Omit<URLSearchParams, 'append' | 'delete' | 'set' | 'sort'>;
  /** Lower-cased names; repeated headers joined as Node does. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  readonly peer: Peer;
  /** performance.now() when the request's headers were complete: deadlines count from here. */
  readonly receivedAt: number;
  /** Aborted when the client goes away before the answer was written. */
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Called once, with whether the whole answer was handed to the client's connection before it closed. */
  readonly onSent?: (delivered: boolean) => void;
}

export type HttpHandler = (request: HttpRequest) => Promise<HttpAnswer>;
