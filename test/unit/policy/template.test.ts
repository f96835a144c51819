// Go's templates, held to OPA: one process of it renders them all.
import { afterEach, describe, expect, it } from 'vitest';
import { BuiltinError } from '../../../src/policy/builtins/error.ts';
import { HOST_BUILTINS } from '../../../src/policy/builtins/registry.ts';
import { startEngine } from '../../../src/policy/engine.ts';
import { fromJson, type Value } from '../../../src/policy/terms.ts';
import { builtinContext } from '../../support/builtin-context.ts';
import { toolPath } from '../../support/tools.ts';
import { folder, opaEval, POD, removeFolders } from './support.ts';
import { templates, VARIABLES } from './templates.ts';

afterEach(removeFolders);

/** Prints nothing, for ever. */
const SLOW = '{{range 9000000000000}}{{end}}';

/** What our host gives; undefined where the built-in is. */
function render(template: string, variables: Value): Value | undefined {
  try {
    return HOST_BUILTINS.get('strings.render_template')?.([template, variables], builtinContext());
  } catch (error) {
    if (error instanceof BuiltinError) return undefined;
    throw error;
  }
}

describe('strings.render_template', () => {
  it('gives what opa eval gives, on thousands of templates', () => {
    const made = templates(12_000);
    const theirs = opaEval(
      folder({ 'a.rego': 'package a\n' }),
      '{i: x | some i; t := input.templates[i]; x := strings.render_template(t, input.variables)}',
      JSON.stringify({ templates: made, variables: VARIABLES }),
    ) as Record<string, string>;
    const rendered = Object.keys(theirs).length;
    expect(rendered).toBeGreaterThan(2000);
    expect(rendered).toBeLessThan(8000);
    const variables = fromJson(VARIABLES);
    const different = made.flatMap((template, i) => {
      const ours = render(template, variables);
      return ours === theirs[i] ? [] : [{ template, ours, theirs: theirs[i] }];
    });
    expect(different).toEqual([]);
  });

  it('fails what would fill the memory or the stack, rather than be undefined', () => {
    const nested = (depth: number): string => `${'{{if true}}'.repeat(depth)}x${'{{end}}'.repeat(depth)}`;
    expect(render(nested(150), fromJson({}))).toBe('x');
    expect(() => render(nested(100_000), fromJson({}))).toThrow('blocks and parentheses are more than 200 deep');
    const parens = `{{${'('.repeat(100_000)}1${')'.repeat(100_000)}}}`;
    expect(() => render(parens, fromJson({}))).toThrow('blocks and parentheses are more than 200 deep');
    for (const endless of ['{{define "t"}}{{template "t"}}{{end}}{{template "t"}}', '{{template "template"}}'])
      expect(() => render(endless, fromJson({}))).toThrow('templates and blocks are more than 1000 deep');
    expect(render('{{range 1000}}{{/* nothing */}}{{end}}', fromJson({}))).toBe('');
    expect(() => render('{{range 9000000000}}text{{end}}', fromJson({}))).toThrow('longer than 1048576 characters');
    const doubled = `{{$x := "ab"}}${'{{$x = print $x $x}}'.repeat(100)}`;
    expect(() => render(doubled, fromJson({}))).toThrow('longer than 1048576 characters');
  });

  it('names the rule where a template goes past its limits, and the time limit ends one that says nothing', async () => {
    const policy = (name: string, template: string): string =>
      `package admission.${name}\n\ndeny contains strings.render_template(\`${template}\`, {})\n`;
    const engine = await startEngine({
      dir: folder({
        'long.rego': policy('long', `{{range 9000000}}${'x'.repeat(5000)}{{end}}`),
        'slow.rego': policy('slow', SLOW),
      }),
      opa: toolPath('opa'),
      workers: 1,
      timeLimitMs: 1000,
      maxPending: 10,
    });
    const { allowed, failures } = await engine.evaluate(POD, Buffer.from('{}'), performance.now() + 10_000);
    expect(allowed).toBe(false);
    expect(failures.map(({ policy, code, message }) => [policy, code, message]).sort()).toEqual([
      ['admission.long', 'POLICY_FAILED', expect.stringMatching(/longer than 1048576 .*\(deny at long\.rego:3\)/)],
      ['admission.slow', 'POLICY_TIMEOUT', expect.stringMatching(/\(deny at slow\.rego:3\)/)],
    ]);
    await engine.close();
  });
});
