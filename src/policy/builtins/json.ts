// json.marshal_with_options and json.patch; the rest of json.* is native, and json.*_schema is in json-schema.ts.
import type { RegoObject, Value } from '../terms.ts';
import { BuiltinError } from './error.ts';
import { writeJson } from './go-json.ts';
import { patch } from './json-patch.ts';
import { arrayOperand, objectOperand, operand } from './operands.ts';
import type { Builtin } from './types.ts';

export const JSON_BUILTINS: Readonly<Record<string, Builtin>> = {
  'json.marshal_with_options': (args) => marshal(operand(args, 1), objectOperand(args, 2)),
  'json.patch': (args) => patch(operand(args, 1), arrayOperand(args, 2)),
};

/** Options prefix, indent and pretty; naming one of the first two makes it pretty unless `pretty` says otherwise. */
function marshal(value: Value, options: RegoObject): string {
  const { prefix, indent, pretty } = readOptions(options);
  return pretty ? prefix + writeJson(value, { prefix, indent }) : writeJson(value);
}

function readOptions(options: RegoObject): { prefix: string; indent: string; pretty: boolean } {
  let prefix = '';
  let indent = '\t';
  let pretty: boolean | undefined;
  for (const [name, value] of options.entries) {
    if (name === 'prefix' && typeof value === 'string') prefix = value;
    else if (name === 'indent' && typeof value === 'string') indent = value;
    else if (name === 'pretty' && typeof value === 'boolean') pretty = value;
    else throw new BuiltinError(`operand 2: key ${String(name)} is unknown or of the wrong type`);
  }
  const named = options.get('prefix') !== undefined || options.get('indent') !== undefined;
  return { prefix, indent, pretty: pretty ?? named };
}
