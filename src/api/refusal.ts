// The one form of an error.
import type { Response } from 'express';
import type { ErrorCode } from '../lib/errors.ts';

export function refuse(response: Response, status: number, code: ErrorCode, message: string): void {
  response.status(status).json({ code, message });
}
