// The one table of built-ins that the host provides. What is in neither this table nor NATIVE_BUILTINS is refused when a
// bundle is built.
import { PRINT } from './print.ts';
import { SPRINTF } from './sprintf.ts';
import type { Builtin } from './types.ts';

export const HOST_BUILTINS: ReadonlyMap<string, Builtin> = new Map(
  [PRINT, SPRINTF].flatMap((family) => Object.entries(family)),
);
