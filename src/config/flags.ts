// Settings as flags of the command line: one commander option for each setting. commander itself refuses an unknown flag and
// names the one that was probably meant.
import { type Command, Option } from 'commander';
import { allSections, allSettings, type Setting } from './names.ts';
import { put, type Source, type Tree } from './source.ts';
import { fromText } from './text.ts';

/** Adds `--config <file>` and an option for every setting to a command. */
export function addSettingOptions(command: Command): Command {
  command.option('--config <file>', 'settings file, YAML or JSON (environment: SEALGATE_CONFIG)');
  for (const section of allSections()) {
    const heading = section.name === '' ? 'Options:' : `Settings of ${section.name}:`;
    for (const setting of section.settings) command.addOption(optionOf(setting).helpGroup(heading));
  }
  return command;
}

/** Reads the settings among the options of a command to which addSettingOptions added them (`command.opts()`). */
export function readFlagSource(options: Readonly<Record<string, unknown>>): Source {
  const tree: Tree = {};
  const settings = allSettings();
  for (const setting of settings) {
    const value = options[optionOf(setting).attributeName()];
    if (value === undefined) continue;
    put(tree, setting.path, typeof value === 'string' ? fromText(setting.schema, value) : value);
  }
  const flags = new Map(settings.map((setting) => [setting.name, setting.flag]));
  return { tree, problems: [], locate: (path) => flags.get(path.join('.')) ?? path.join('.') };
}

function optionOf({ flag, schema }: Setting): Option {
  const description = `${schema.description ?? ''}${defaultText(schema.default)}`;
  // A flag without a value means true, which commander gives for an optional value.
  if (schema.type === 'boolean') return new Option(`${flag} [true|false]`, description);
  const placeholder = schema.type === 'array' ? 'list' : schema.type === 'integer' ? 'number' : 'text';
  return new Option(`${flag} <${schema.enum?.join('|') ?? placeholder}>`, description);
}

function defaultText(value: unknown): string {
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return '';
  return ` (default: ${Array.isArray(value) ? value.join(',') : String(value)})`;
}
