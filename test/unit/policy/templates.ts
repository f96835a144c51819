// Templates by the thousand, from a seed: every kind of action, literal and function, on values that fit and that do not,
// and now and then a character where it does not belong.
import { type Pick, picker } from './picker.ts';

/** What the templates find under the names that they use. */
export const VARIABLES = {
  name: 'name<b>"\'&=\\ é\u2028😀',
  empty: '',
  n: 3,
  zero: 0,
  big: 1e21,
  float: 2.5,
  yes: true,
  no: false,
  nothing: null,
  list: ['a', 2, null, [true, 'x'], { k: 'v', n: null }],
  words: ['one', 'two', 'three'],
  none: [],
  map: { b: 1, a: 'x', é: { deep: { er: ['z'] } }, n: null },
  bare: {},
  format: '%5v|%-4q|%d',
  ünï: 'code',
};

const FIELDS = [
  '.name',
  '.n',
  '.zero',
  '.float',
  '.yes',
  '.no',
  '.nothing',
  '.list',
  '.words',
  '.none',
  '.map',
  '.map.é.deep.er',
  '.map.a',
  '.map.n',
  '.map.missing.more',
  '.nothing.more',
  '.name.more',
  '.bare',
  '.missing',
  '.ünï',
  '.empty',
  '.big',
  '.format',
];
const LITERALS = [
  '1',
  '0',
  '-3',
  '+7',
  '0x1F',
  '-0x1e',
  '0b101',
  '0o17',
  '017',
  '089',
  '1_000',
  '1__0',
  '2.50',
  '.5',
  '5.',
  '1e3',
  '1_0.5',
  '0x1p4',
  '0x1.8p1',
  '1e999',
  '9223372036854775807',
  '9223372036854775808',
  '99999999999999999999',
  '"text"',
  '"q\\"\\n\\t\\x41\\u00e9\\101\\U0001F600"',
  '"\\xff\\q"',
  '"\\x01\\x7f\\u2029\\x00"',
  '`raw\\n "x"`',
  "'a'",
  "'\\n'",
  "'é'",
  "'ab'",
  'true',
  'false',
  'nil',
];
const FORMATS = [
  '"%v %v"',
  '"%d"',
  '"%s|%5s|%-5s|%q"',
  '"%x %X"',
  '"%#v"',
  '"%T"',
  '"%+v"',
  '"%05d"',
  '"%t"',
  '"%6.2f"',
];
const COMPARISONS = ['eq', 'ne', 'lt', 'le', 'gt', 'ge'];

/** `count` templates. */
export function templates(count: number, seed = 1): string[] {
  const maker = new Maker(picker(seed));
  return Array.from({ length: count }, () => maker.template());
}

class Maker {
  private readonly pick: Pick;
  private scope: string[] = [];

  constructor(pick: Pick) {
    this.pick = pick;
  }

  template(): string {
    this.scope = [];
    const text = this.nodes(3, false);
    const definition = this.pick([
      '',
      '',
      '{{define "t"}}<{{.}}>{{end}}',
      '{{define "t"}}{{with .}}{{.}}{{end}}{{end}} \n',
      '{{define "t"}}a{{end}}{{define "t"}}b{{end}}',
      '{{define "template"}}main{{end}}',
    ]);
    const whole = definition + text;
    // One in ten has a character too much or too little.
    if (this.pick([true, ...Array.from({ length: 9 }, () => false)])) {
      const at = this.pick(Array.from({ length: whole.length + 1 }, (_, i) => i));
      return (
        whole.slice(0, at) +
        this.pick(['', '{', '}', '(', ')', '|', '$', '.', ' ', '"', '-', ':=']) +
        whole.slice(at + 1)
      );
    }
    return whole;
  }

  private nodes(depth: number, inRange: boolean): string {
    const seen = this.scope.length;
    const count = this.pick([1, 1, 2, 3]);
    const text = Array.from({ length: count }, () => this.node(depth, inRange)).join('');
    this.scope.length = seen;
    return text;
  }

  private node(depth: number, inRange: boolean): string {
    const { pick } = this;
    const kinds = ['text', 'text', 'action', 'action', 'action', 'declare', 'comment', 'template'];
    if (inRange) kinds.push('leave');
    if (depth > 0) kinds.push('if', 'if', 'with', 'range', 'range', 'block');
    switch (pick(kinds)) {
      case 'text':
        return pick(['text', ' \n ', '}} ', 'é', '{ {', '<no value>']);
      case 'action':
        return this.braces(this.pipeline(2));
      case 'declare': {
        const name = pick(['$x', '$y', '$ünï']);
        const mark = pick([':=', ':=', '=']);
        const action = this.braces(`${name} ${mark} ${this.pipeline(1)}`);
        this.scope.push(name);
        return action;
      }
      case 'comment':
        return this.braces(pick(['/* a }} comment */', '/* open'])).replace('open', pick(['*/', '*/', 'open']));
      case 'template':
        return this.braces(
          pick(['template "t" .', 'template "t"', 'template "t" .map', 'template `t` (print 1)', 'template "u"']),
        );
      case 'leave':
        return this.braces(pick(['break', 'continue']));
      case 'block':
        return `${this.braces(`block "b${depth}" ${this.pipeline(1)}`)}[{{.}}]{{end}}`;
      case 'range':
        return this.range(depth);
      default:
        return this.branch(pick(['if', 'with']), depth, inRange);
    }
  }

  private branch(keyword: string, depth: number, inRange: boolean): string {
    const { pick } = this;
    const head = this.braces(`${keyword} ${pick(['', '', '$x := '])}${this.pipeline(1)}`);
    const body = this.nodes(depth - 1, inRange);
    const rest = pick(['', '', '{{else}}', `{{else ${keyword} ${this.pipeline(1)}}}`]);
    return `${head}${body}${rest}${rest === '' ? '' : this.nodes(depth - 1, inRange)}{{end}}`;
  }

  private range(depth: number): string {
    const { pick } = this;
    const declared = pick([[], [], ['$x'], ['$x', '$y']]);
    const mark = declared.length === 0 ? '' : `${declared.join(', ')} ${pick([':=', ':=', ':=', '='])} `;
    const over = pick([
      '.list',
      '.words',
      '.map',
      '.none',
      '3',
      '.n',
      '.nothing',
      '.name',
      '(len .words)',
      this.pipeline(1),
    ]);
    const seen = this.scope.length;
    this.scope.push(...declared);
    const body = this.nodes(depth - 1, true);
    this.scope.length = seen;
    const rest = pick(['', '', `{{else}}${this.nodes(depth - 1, false)}`]);
    return `${this.braces(`range ${mark}${over}`)}${body}${rest}{{end}}`;
  }

  private braces(inside: string): string {
    const { pick } = this;
    return `{{${pick(['', '', '', ' ', '- '])}${inside}${pick(['', '', '', ' ', ' -'])}}}`;
  }

  private pipeline(depth: number): string {
    const { pick } = this;
    const first = this.command(depth);
    const more = pick([0, 0, 0, 0, 1, 2]);
    return [first, ...Array.from({ length: more }, () => this.stage(depth))].join(pick([' | ', '|']));
  }

  /** A command that the value before it is given to. */
  private stage(depth: number): string {
    const { pick } = this;
    return pick([
      'len',
      'not',
      'html',
      'js',
      'urlquery',
      'print',
      'println "x"',
      'eq "a"',
      'and true',
      'or false',
      'printf "%v"',
      `printf ${pick(FORMATS)} ${this.operand(depth)}`,
      `index ${this.operand(depth)}`,
      'slice "abcdef" 1',
      '.name',
      'nope',
      '"x"',
    ]);
  }

  private command(depth: number): string {
    const { pick } = this;
    const one = (): string => this.operand(depth - 1);
    return pick([
      one,
      one,
      one,
      () => `${pick(COMPARISONS)} ${one()} ${one()}`,
      () => `eq ${one()} ${one()} ${one()}`,
      () => `${pick(['and', 'or'])} ${one()} ${one()}`,
      () => `not ${one()}`,
      () => `len ${one()}`,
      () => `index ${pick(['.list', '.words', '.map', '.name', one()])} ${pick(['0', '1', '4', '"a"', '"n"', one()])}`,
      () =>
        `slice ${pick(['.list', '.words', '.name', '"abc"', one()])} ${pick(['', '1', '0 2', '1 1', '2 1', '0 1 2', one()])}`,
      () => `printf ${pick([...FORMATS, '.format', one()])} ${one()} ${pick(['', one()])}`,
      () => `${pick(['print', 'println', 'html', 'js', 'urlquery'])} ${one()} ${pick(['', one()])}`,
      () => `call ${one()}`,
    ])();
  }

  private operand(depth: number): string {
    const { pick } = this;
    const variable = this.scope.length === 0 ? '$' : pick(this.scope);
    const choices = [pick(FIELDS), pick(FIELDS), pick(LITERALS), '.', '$', '$.map.a', variable, `${variable}.k`];
    if (depth > 0) choices.push(`(${this.pipeline(depth - 1)})`, `(${this.pipeline(depth - 1)}).k`);
    return pick(choices);
  }
}
