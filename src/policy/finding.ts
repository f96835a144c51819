// What is said of one place of a policy folder, and how it is read from OPA's words.

export interface Finding {
  /** The pod refuses a folder with an error; it takes one with warnings. */
  readonly level: 'error' | 'warning';
  /** Relative to the folder; absent where the finding is about the folder. */
  readonly file?: string;
  readonly line?: number;
  /** Name of the rule in the file. */
  readonly rule?: string;
  readonly message: string;
}

/** From `file:line: message (rule name)`. */
export function findingOf(level: Finding['level'], text: string): Finding {
  const [, file, line, rest] = /^(.+?):(\d+): (.*)$/.exec(text) ?? [];
  if (file === undefined || rest === undefined) return { level, message: text };
  const [, message, rule] = /^(.*) \(rule (\S+)\)$/.exec(rest) ?? [];
  return { level, file, line: Number(line), ...(rule === undefined ? {} : { rule }), message: message ?? rest };
}

/** Undefined when the text is not JSON. */
export function parseJson<T>(text: string): T | undefined {
  try {
    return JSON.parse(text);
  } catch {
    // opa wrote words instead: the caller shows them.
    return undefined;
  }
}

/** OPA lists the places of a conflict on lines of their own. */
export function oneLine(message: string): string {
  const [first = '', ...rest] = message.split('\n').map((line) => line.trim());
  return rest.length === 0 ? first : `${first} ${rest.join('; ')}`;
}
