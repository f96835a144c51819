// Settings in the environment. A variable that begins like ours and is none of ours is refused: it is probably misspelled.
import { nearestName } from '../lib/nearest.ts';
import { allSettings, type Setting, VARIABLE_PREFIX } from './names.ts';
import { put, type Source, type Tree } from './source.ts';
import { fromText } from './text.ts';

/** Names the settings file. */
export const CONFIG_VARIABLE = 'SEALGATE_CONFIG';

/** Of the project's own tests and tools. */
const TOOL_PREFIX = 'SEALGATE_TOOL_';

/** What Kubernetes sets for each Service of the namespace (a Service `sealgate-audit` makes SEALGATE_AUDIT_PORT, among others). */
const SERVICE_LINK = /_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/;
const SERVICE_URL = /^(tcp|udp|sctp):\/\//;

/** Reads the settings among environment variables. An empty variable counts as one that is not set. */
export function readEnvironmentSource(environment: Readonly<Record<string, string | undefined>>): Source {
  const byVariable = new Map<string, Setting>(allSettings().map((setting) => [setting.variable, setting]));
  const byName = new Map<string, Setting>([...byVariable.values()].map((setting) => [setting.name, setting]));
  const tree: Tree = {};
  const problems: string[] = [];
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith(VARIABLE_PREFIX) || text === undefined || text === '') continue;
    if (variable === CONFIG_VARIABLE || variable.startsWith(TOOL_PREFIX)) continue;
    if (SERVICE_LINK.test(variable) || (variable.endsWith('_PORT') && SERVICE_URL.test(text))) continue;
    const setting = byVariable.get(variable);
    if (setting === undefined) {
      const meant = nearestName(variable, byVariable.keys());
      const remedy = meant === undefined ? '; unset it or correct its name' : `: did you mean ${meant}?`;
      problems.push(`${variable}: there is no such setting${remedy}`);
    } else put(tree, setting.path, fromText(setting.schema, text));
  }
  return { tree, problems, locate: (path) => byName.get(path.join('.'))?.variable ?? path.join('.') };
}
