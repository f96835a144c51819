// The interface of the policy engine: what the admission handler gives to it and takes back.
import type { ErrorCode } from '../lib/errors.ts';
import type { JsonDocument } from '../lib/json-document.ts';

/** What a policy's verdict does: refuse the request, warn the client, or only be recorded. */
export type Action = 'deny' | 'warn' | 'audit';

export type Severity = 'low' | 'medium' | 'high' | 'critical';

/** The part of an AdmissionReview that decides which policies look at it. */
export interface MatchFacts {
  /** Of `request.kind`; the core group is the empty string. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** Group of `request.resource` where it differs from the kind's (deployments/scale has kind autoscaling/Scale). */
  readonly resourceGroup?: string;
  /** Plural name, for example `pods`. */
  readonly resource: string;
  /** For example `exec`; empty for the resource itself. */
  readonly subresource: string;
  /** CREATE, UPDATE, DELETE or CONNECT. */
  readonly operation: string;
  /** Empty for cluster-scoped objects. */
  readonly namespace: string;
  readonly name: string;
  /** Labels of the object, or of oldObject on DELETE. */
  readonly labels: Readonly<Record<string, string>>;
}

/** One member of a rule's result. */
export interface PolicyResult {
  /** Package path, for example `admission.images`. */
  readonly policy: string;
  /** deny, warn or violation. */
  readonly rule: string;
  readonly action: Action;
  readonly severity: Severity;
  readonly message: string;
  /** The other keys of an object member. */
  readonly details?: unknown;
  readonly controls: readonly string[];
  readonly remediation?: string;
}

/** A policy that gave no verdict. It counts as a deny unless its METADATA says `onError: allow`. */
export interface PolicyFailure {
  readonly policy: string;
  readonly code: ErrorCode;
  readonly message: string;
  readonly action: 'deny' | 'warn';
}

export interface PolicyPrint {
  readonly policy: string;
  readonly message: string;
}

/** What one policy's rules took. */
export interface PolicyTime {
  readonly policy: string;
  readonly ms: number;
}

/** The verdict of all policies on one request. */
export interface Evaluation {
  /** No result with action deny and no failure with action deny. */
  readonly allowed: boolean;
  readonly results: readonly PolicyResult[];
  readonly failures: readonly PolicyFailure[];
  readonly prints: readonly PolicyPrint[];
  /** Package paths of the policies that matched and ran, failed ones included. */
  readonly evaluated: readonly string[];
  /** Of the policies that ran to their end, in the order of `evaluated`. */
  readonly times: readonly PolicyTime[];
  /** Digest of the bundle. */
  readonly bundle: string;
  /** Which update of the changing data it was judged with, and what was said with that; absent before the first, and when no policy ran. */
  readonly data?: { readonly revision: number; readonly about?: object | undefined };
  /** From call to verdict, waiting included, in milliseconds. */
  readonly ms: number;
}

export interface BundleFile {
  /** Relative to the bundle's folder, with forward slashes. */
  readonly path: string;
  /** Lowercase hex. */
  readonly sha256: string;
}

/** Which requests a policy looks at; an absent key restricts nothing. docs/policies.md is the reference. */
export interface Match {
  readonly kinds?: readonly { readonly groups: readonly string[]; readonly kinds: readonly string[] }[];
  readonly resources?: readonly { readonly group: string; readonly resource: string; readonly subresource: string }[];
  readonly subresources?: readonly string[];
  readonly operations?: readonly string[];
  readonly namespaces?: readonly string[];
  readonly excludeNamespaces?: readonly string[];
  readonly labels?: Readonly<Record<string, readonly string[]>>;
}

/** A rule that is evaluated, with the settings that its METADATA and that of its package give it. */
export interface RuleInfo {
  readonly rule: string;
  /** File and line of its first definition, for example `images.rego:12`. */
  readonly location: string;
  /** Wasm entrypoint, for example `admission/images/deny`. */
  readonly entrypoint: string;
  readonly action: Action;
  readonly severity: Severity;
  readonly match: Match;
  readonly controls: readonly string[];
  readonly remediation?: string;
  readonly onError: 'deny' | 'allow';
}

export interface PolicyInfo {
  /** Package path, for example `admission.images`. */
  readonly policy: string;
  readonly title?: string;
  readonly description?: string;
  readonly files: readonly string[];
  readonly rules: readonly RuleInfo[];
}

export interface BundleInfo {
  /** `sha256:` and the hex digest of the lines `<sha256>  <path>\n`, sorted by path: `sha256sum` prints the same. */
  readonly digest: string;
  readonly files: readonly BundleFile[];
  readonly policies: readonly PolicyInfo[];
  /** Whether a policy may look at data.inventory. */
  readonly usesInventory: boolean;
}

export interface EngineStats {
  readonly workers: number;
  /** Workers that can take a request or are busy with one. */
  readonly ready: number;
  readonly running: number;
  readonly waiting: number;
  readonly evaluations: number;
  /** How many of them took place on the thread that asked, and how many others began there and were left to the workers. */
  readonly inThread: number;
  readonly handedOver: number;
  readonly timeouts: number;
  readonly overloads: number;
  readonly replaced: number;
  /** Wasm instances dropped because of an error in them or because their memory had grown. */
  readonly recycled: number;
  /** Workers replaced by one that loaded the data anew, because of the memory that updates had left behind. */
  readonly renewed: number;
  /** Why the last update of the data could not be taken: there is no memory for it. */
  readonly dataProblem: string | undefined;
}

export interface PolicyEngine {
  readonly bundle: BundleInfo;
  /**
   * Evaluates every policy whose match covers `facts`. `input` is the whole AdmissionReview as JSON bytes; it is
   * copied. `scanned` is the table of just these bytes where there is one; it is looked at during the call only, so that another document
   * may be scanned into it as soon as that returns, before a promise is settled. `deadline` is a performance.now() time in milliseconds. Policy errors and time-outs are failures inside the
   * result; throws or rejects only with POLICY_OVERLOADED, when no worker took the request in time or the engine is closed. A promise
   * only where it had to wait for something.
   */
  evaluate(
    facts: MatchFacts,
    input: Uint8Array,
    deadline: number,
    scanned?: JsonDocument,
  ): Evaluation | Promise<Evaluation>;
  stats(): EngineStats;
  close(): Promise<void>;
}
