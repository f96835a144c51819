// internal.print: what the compiler makes of `print`. Each argument is a string, or the set of the values it has.
import { printValue, RegoSet, type Value } from '../terms.ts';
import { arrayOperand } from './operands.ts';
import type { Builtin } from './types.ts';

/** OPA prints the cross product of its arguments' values; a policy must not make that unbounded. */
const MAX_LINES = 100;

export const PRINT: Readonly<Record<string, Builtin>> = {
  'internal.print': (args, context) => {
    let lines: string[] = [''];
    arrayOperand(args, 1).forEach((argument, i) => {
      const texts = argument instanceof RegoSet ? argument.members.map(show) : [show(argument)];
      if (texts.length === 0) texts.push('<undefined>');
      const separator = i === 0 ? '' : ' ';
      lines = lines.flatMap((line) => texts.map((text) => line + separator + text)).slice(0, MAX_LINES);
    });
    for (const line of lines) context.print(line);
    return true;
  },
};

function show(value: Value): string {
  return typeof value === 'string' ? value : printValue(value);
}
