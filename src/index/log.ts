// How the index reports what it does; pino's own shape, so that a logger can be handed over as it is.

export interface IndexLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
