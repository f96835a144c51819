// Log lines: JSON on one stream, message first, few fields. Nothing that a client sent belongs in them but its address.
import { type DestinationStream, pino } from 'pino';
import { SealgateError } from './errors.ts';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

/** Beside the message. `error` is written as code, message and cause, and with its stack when it has no code. */
export interface LogFields {
  readonly error?: unknown;
  readonly [name: string]: unknown;
}

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log whose every line has these fields too, for example `{part: 'ledger'}`. */
  with(fields: LogFields): Log;
}

/** A log that writes lines of `level` and above to `destination` (standard output). */
export function createLog(level: LogLevel, destination?: DestinationStream): Log {
  const options = {
    level,
    base: {},
    messageKey: 'message',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { error: describeError },
  };
  return wrap(destination === undefined ? pino(options) : pino(options, destination));
}

/** A log that nobody reads. */
export const silent: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing, with: () => silent };

function nothing(): void {
  // on purpose
}

function wrap(logger: pino.Logger): Log {
  return {
    debug: (message, fields = {}) => logger.debug(fields, message),
    info: (message, fields = {}) => logger.info(fields, message),
    warn: (message, fields = {}) => logger.warn(fields, message),
    error: (message, fields = {}) => logger.error(fields, message),
    with: (fields) => wrap(logger.child(fields)),
  };
}

/** How far down a chain of causes is followed: it could be a circle. */
const MAX_CAUSES = 5;

function describeError(thrown: unknown, depth = 0): unknown {
  if (!(thrown instanceof Error)) return { message: String(thrown) };
  const code = 'code' in thrown && typeof thrown.code === 'string' ? { code: thrown.code } : {};
  // Where a SealgateError was thrown says less than its message; of anything else it is what one needs.
  const stack = thrown instanceof SealgateError || thrown.stack === undefined ? {} : { stack: thrown.stack };
  const cause =
    thrown.cause === undefined || depth === MAX_CAUSES ? {} : { cause: describeError(thrown.cause, depth + 1) };
  return { ...code, message: thrown.message, ...stack, ...cause };
}
