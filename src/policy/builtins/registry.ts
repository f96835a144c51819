// The one table of built-ins that the host provides. What is in neither this table nor NATIVE_BUILTINS is refused when
// a bundle is built.
import { CIDR } from './cidr.ts';
import { CORRECTED } from './corrected.ts';
import { ENCODING } from './encoding.ts';
import { GRAPH } from './graph.ts';
import { JSON_BUILTINS } from './json.ts';
import { JSON_PATHS } from './json-paths.ts';
import { JSON_SCHEMA } from './json-schema.ts';
import { JWT } from './jwt.ts';
import { NUMBERS } from './numbers.ts';
import { OBJECTS } from './objects.ts';
import { PRINT } from './print.ts';
import { PRIVATE_KEYS } from './private-keys.ts';
import { REGEX } from './regex.ts';
import { SEMVER } from './semver.ts';
import { SPRINTF } from './sprintf.ts';
import { STRINGS } from './strings.ts';
import { TEMPLATE } from './template.ts';
import { TIME } from './time.ts';
import type { Builtin } from './types.ts';
import { UNITS } from './units.ts';
import { URI } from './uri.ts';
import { URL_QUERY } from './url-query.ts';
import { UUID } from './uuid.ts';
import { X509 } from './x509.ts';
import { YAML } from './yaml.ts';

const FAMILIES = [
  CIDR,
  CORRECTED,
  ENCODING,
  GRAPH,
  JSON_BUILTINS,
  JSON_PATHS,
  JSON_SCHEMA,
  JWT,
  NUMBERS,
  OBJECTS,
  PRINT,
  PRIVATE_KEYS,
  REGEX,
  SEMVER,
  SPRINTF,
  STRINGS,
  TEMPLATE,
  TIME,
  UNITS,
  URI,
  URL_QUERY,
  UUID,
  X509,
  YAML,
];

export const HOST_BUILTINS: ReadonlyMap<string, Builtin> = new Map(
  FAMILIES.flatMap((family) => Object.entries(family)),
);
