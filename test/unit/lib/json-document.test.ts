import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ANY_BYTE,
  JsonDocument,
  jsonName,
  jsonNames,
  MAX_DEPTH,
  NONE,
  type Node,
} from '../../../src/lib/json-document.ts';

function scanned(text: string): JsonDocument {
  const doc = new JsonDocument();
  doc.scan(Buffer.from(text));
  return doc;
}

/** What the table says, as a JavaScript value. */
function readBack(doc: JsonDocument, node: Node): unknown {
  const end = doc.after(node);
  switch (doc.type(node)) {
    case 'object': {
      const entries: [string, unknown][] = [];
      for (let key = node + 1; key < end; key = doc.after(key + 1))
        entries.push([doc.text(key)!, readBack(doc, key + 1)]);
      return Object.fromEntries(entries);
    }
    case 'array': {
      const elements: unknown[] = [];
      for (let element = node + 1; element < end; element = doc.after(element)) elements.push(readBack(doc, element));
      return elements;
    }
    case 'string':
      return doc.text(node);
    default:
      return JSON.parse(doc.slice(node).toString());
  }
}

describe('JsonDocument', () => {
  it('finds in any JSON text what JSON.parse finds, with any white space', () => {
    const spaces = fc.constantFrom(undefined, 1, '\t', '\r\n ');
    void fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5, stringUnit: 'binary' }), spaces, (value, space) => {
        const text = `${typeof space === 'string' ? space : ''}${JSON.stringify(value, null, space)}`;
        const doc = scanned(text);
        expect(readBack(doc, 0)).toEqual(JSON.parse(text));
        expect(doc.end(0)).toBe(Buffer.byteLength(text));
      }),
    );
  });

  it('accepts and refuses exactly what JSON.parse does, whatever byte is changed, dropped or put in', () => {
    const text = '{"a":[1,-0.5e+3,0,true,false,null,{}],"b\\u00e9\\n":"x\\"y\\\\","":{"c":[[],""]}}';
    const alphabet = '{}[]",:\\ \n\t01-+.eEutrfnx\u0000\u001f';
    void fc.assert(
      fc.property(
        fc.nat(text.length),
        fc.constantFrom(...alphabet),
        fc.constantFrom('change', 'drop', 'insert'),
        (at, char, how) => {
          const rest = text.slice(how === 'insert' ? at : at + 1);
          const changed = text.slice(0, at) + (how === 'drop' ? '' : char) + rest;
          let expected = true;
          try {
            JSON.parse(changed);
          } catch {
            expected = false;
          }
          const bytes = Buffer.from(changed);
          let actual = true;
          try {
            const end = new JsonDocument().scan(bytes);
            actual = changed.slice(end).trim() === '';
          } catch (error) {
            expect(error).toMatchObject({ code: 'REQUEST_INVALID', message: /^JSON .* at byte \d+$/ as never });
            actual = false;
          }
          expect([changed, actual]).toEqual([changed, expected]);
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('names the byte at which a text stops being JSON', () => {
    expect(() => scanned('{"a":1,}')).toThrow('JSON lacks a member name in quotes at byte 7');
    expect(() => scanned('{"é":tru}')).toThrow('JSON has something that is no value at byte 6');
    expect(() => scanned('["a\nb"]')).toThrow('JSON has a control character in a string at byte 3');
    expect(() => scanned('')).toThrow('JSON ends where a value should be at byte 0');
  });

  it('takes a text as deep as the limit and refuses one that is deeper, however deep', () => {
    const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
    expect(scanned(nested(MAX_DEPTH)).count).toBe(MAX_DEPTH);
    for (const depth of [MAX_DEPTH + 1, 1_000_000]) {
      expect(() => scanned(nested(depth))).toThrow(`nested deeper than ${MAX_DEPTH} levels at byte ${MAX_DEPTH}`);
    }
    expect(() => new JsonDocument().scan(Buffer.from('{"a":{"b":{}}}'), 0, 2)).toThrow(
      expect.objectContaining({ code: 'REQUEST_TOO_DEEP' }),
    );
  });

  it('finds a member by its name however the name is written, the last one of several', () => {
    const doc = scanned('{"kind":1,"k\\u0069nd":"second","kin":2,"kindx":3}');
    expect(doc.text(doc.find(0, jsonName('kind')))).toBe('second');
    expect(doc.find(0, jsonName('missing'))).toBe(NONE);
    expect(doc.find(NONE, jsonName('kind'))).toBe(NONE);
  });

  it('keeps lone surrogates and NUL', () => {
    expect(scanned('"\\ud800\\u0000"').text(0)).toBe('\ud800\u0000');
  });

  it('keeps what it read before a failure', () => {
    const doc = new JsonDocument();
    expect(() => doc.scan(Buffer.from('{"a":{"b":1},"c":[1,2'))).toThrow();
    expect(doc.complete(0)).toBe(false);
    expect(doc.text(doc.find(2, jsonName('b')))).toBeUndefined();
    expect(doc.complete(2)).toBe(true);
    expect(doc.slice(2).toString()).toBe('{"b":1}');
    expect(doc.complete(6)).toBe(false);
    // A key whose value is broken has none.
    expect(() => doc.scan(Buffer.from('{"a":tru}'))).toThrow();
    expect(doc.complete(2)).toBe(false);
  });

  it('finds several members at once as it finds each of them', () => {
    const words = ['kind', 'kinds', 'name', 'eman', '', 'é', 'verb'];
    const names = jsonNames(words.slice(0, 6));
    const value = fc.jsonValue({ maxDepth: 2 });
    const member = fc.tuple(fc.constantFrom(...words), fc.boolean(), value).map(([word, escaped, inner]) => {
      const code = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
      return `${escaped ? `"${[...word].map(code).join('')}"` : JSON.stringify(word)}:${JSON.stringify(inner)}`;
    });
    void fc.assert(
      fc.property(fc.array(member, { maxLength: 12 }), (members) => {
        const doc = scanned(`[{${members.join(',')}},1]`);
        const found = new Int32Array(names.names.length);
        for (const node of [1, 0, NONE]) {
          doc.findAll(node, names, found);
          expect([...found]).toEqual(names.names.map((name) => doc.find(node, name)));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('asks about the strings that begin as one of their length may, about those with a backslash, and about no others', () => {
    const firstBytes = new Uint8Array(8);
    firstBytes[4] = ANY_BYTE;
    firstBytes[6] = ANY_BYTE;
    firstBytes[7] = 0x76;
    const doc = scanned(
      '{"ab":"abcd","a":["abc","\\u0041bcdefgh",1234,"é","a longer one than any that is marked"],"wxyz":{},"vwxyz":"uwxyz"}',
    );
    const asked: (string | undefined)[] = [];
    expect(doc.someString(firstBytes, (node) => asked.push(doc.text(node)) < 0)).toBe(false);
    expect(asked).toEqual(['ab', 'abcd', 'Abcdefgh', 'é', 'wxyz', 'vwxyz']);
    expect(doc.someString(firstBytes, (node) => doc.text(node) === 'é')).toBe(true);
  });
});
