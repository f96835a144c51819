// Messages between the main thread and an evaluator thread.
import type { ErrorCode } from '../lib/errors.ts';
import type { Member } from './verdict.ts';

export interface WorkerSetup {
  readonly module: WebAssembly.Module;
  readonly data: Uint8Array;
  /** By rule index. */
  readonly rules: readonly { readonly rule: string; readonly location: string; readonly entrypoint: string }[];
  /**
   * Where the worker stands, for the main thread, which cuts it off: an Int32 with the index of the rule that is being
   * evaluated, or a stage; an Int32 with the number of jobs that it has begun; a Float64 with when it began the last one,
   * by monotonicMs.
   */
  readonly stage: SharedArrayBuffer;
  readonly limits: MemoryLimits;
}

export interface MemoryLimits {
  /** An instance's memory may not grow past this; the policy that needs more fails. */
  readonly maxBytes: number;
  /** An instance whose memory has grown past its data by more than this is dropped after the request. */
  readonly recycleBytes: number;
  /**
   * Most megabytes of JavaScript values that the built-ins of the host may hold; past it the worker dies and is
   * replaced.
   */
  readonly heapMb: number;
}

/** Values of the stage word that are not a rule index. */
export const STAGE_IDLE = -1;
export const STAGE_INPUT = -2;

/** Places in the shared memory, in its Int32s and its Float64s. */
export const STAGE_RULE = 0;
export const STAGE_BEGUN = 1;
export const STAGE_SINCE = 1;
export const STAGE_BYTES = 16;

export interface Job {
  readonly id: number;
  readonly input: Uint8Array;
  readonly rules: readonly number[];
}

/** Jobs that were waiting, evaluated one after the other: one message wakes a thread once, however many they are. */
export interface Jobs {
  readonly type: 'jobs';
  readonly jobs: readonly (Omit<Job, 'input'> & { readonly length: number })[];
  /** Their inputs, one after the other. */
  readonly inputs: Uint8Array<ArrayBuffer>;
}

/** Changes of the data between two evaluations; the last part of an update brings all of its parts into effect at once. */
export interface DataPart {
  readonly type: 'data';
  /** Each a JSON array. */
  readonly paths: readonly string[];
  /** The JSON documents that belong there, one after the other. */
  readonly values: Uint8Array<ArrayBuffer>;
  /** Length of each of them; −1 where what stands there goes. */
  readonly lengths: readonly number[];
  /** The revision that this part completes. */
  readonly revision?: number;
}

export type ToWorker = Jobs | DataPart;

export interface RuleOutcome {
  readonly rule: number;
  readonly members: readonly Member[];
}

export interface RuleFailure {
  readonly rule: number;
  readonly code: ErrorCode;
  readonly message: string;
}

export interface Reply {
  readonly id: number;
  /** Only rules that have members. */
  readonly outcomes: readonly RuleOutcome[];
  readonly failures: readonly RuleFailure[];
  readonly prints: readonly { readonly rule: number; readonly message: string }[];
  /** Milliseconds that each rule of the job took, in its order. */
  readonly ms: readonly number[];
  /** Instances dropped while this job ran. */
  readonly recycled: number;
  /** The revision of the data that all of it was judged with; 0 before the first update. */
  readonly revision: number;
}

/** Answer to a DataPart. */
export interface DataTaken {
  readonly type: 'taken';
  /** Where the data end in the instance's memory: what was freed below and cannot be used again counts, too. */
  readonly bytes: number;
  /** Why none of the update could be taken: there is no memory for it. The data before it stay. */
  readonly problem?: string;
}

export type FromWorker =
  | { readonly type: 'ready'; readonly bytes: number }
  /** Of the jobs that came first among those not answered yet, in their order. */
  | { readonly type: 'replies'; readonly replies: readonly Reply[] }
  | DataTaken;
