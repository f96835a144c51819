// Log lines: JSON on one stream. Nothing that a client sent belongs in them but its address and what names the request.
import { type DestinationStream, type Logger, pino } from 'pino';
import { SealgateError } from './errors.ts';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

interface LogMethod {
  (message: string): void;
  (fields: object, message: string): void;
}

/**
 * The part of pino's own interface that is used. A field `error` that holds an Error is written as its code, message and
 * cause, and with its stack unless it is a SealgateError.
 */
export interface Log {
  readonly trace: LogMethod;
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
  /** A log whose every line has these fields too, for example `{part: 'ledger'}`. */
  child(fields: Readonly<Record<string, unknown>>): Log;
}

/** A log that writes lines of `level` and above to `destination` (standard output). */
export function createLog(level: LogLevel, destination?: DestinationStream): Log {
  const options = {
    level,
    base: {},
    messageKey: 'message',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { error: (value: unknown) => describe(value, 0) },
  };
  const logger: Logger = destination === undefined ? pino(options) : pino(options, destination);
  return logger;
}

/** How far down a chain of causes is followed: it could be a circle. */
const MAX_CAUSES = 5;

function describe(thrown: unknown, depth: number): unknown {
  if (!(thrown instanceof Error)) return thrown;
  const code = 'code' in thrown && typeof thrown.code === 'string' ? { code: thrown.code } : {};
  // Where a SealgateError was thrown says less than its message; of anything else it is what one needs.
  const stack = thrown instanceof SealgateError || thrown.stack === undefined ? {} : { stack: thrown.stack };
  const cause = thrown.cause === undefined || depth === MAX_CAUSES ? {} : { cause: describe(thrown.cause, depth + 1) };
  return { ...code, message: thrown.message, ...stack, ...cause };
}
