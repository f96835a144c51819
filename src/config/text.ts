// A setting given as text, by an environment variable or a flag, turned into the type that the schema wants.
import type { SchemaNode } from './names.ts';

/**
 * The value that the text stands for. Text that does not look like the type stays text, so that the schema's own check
 * refuses it. Lists are `a,b,c` or JSON; lists of objects are JSON.
 */
export function fromText(schema: SchemaNode, text: string): unknown {
  const trimmed = text.trim();
  switch (schema.type) {
    case 'integer':
      return /^-?\d{1,15}$/.test(trimmed) ? Number(trimmed) : text;
    case 'boolean':
      return trimmed === 'true' ? true : trimmed === 'false' ? false : text;
    case 'array':
      return list(schema, trimmed);
    default:
      return text;
  }
}

function list(schema: SchemaNode, text: string): unknown {
  if (text.startsWith('[')) {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      return text;
    }
  }
  if (schema.items?.type === 'object') return text;
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
