import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  announcesCredential,
  createCommandSearch,
  cutSpans,
  isTelling,
  mayBeTelling,
} from '../../../src/redact/command.ts';

const search = createCommandSearch([]);

function cut(text: string): string {
  return cutSpans(text, search(text), '*', () => {});
}

describe('the search for credentials in a command', () => {
  it.each([
    ['env TOKEN=abc123 run', 'env TOKEN=* run'],
    ['export DB_PASSWORD="two words"; id', 'export DB_PASSWORD="*"; id'],
    ["PGPASSWORD='x y' psql", "PGPASSWORD='*' psql"],
    ['mysql --password=hunter2 -e "select 1"', 'mysql --password=* -e "select 1"'],
    ['mysql --password hunter2', 'mysql --password *'],
    ['curl -H "Authorization: Bearer abc.def" https://x', 'curl -H "Authorization: Bearer *" https://x'],
    ["curl -H 'X-Api-Key: abc' https://x", "curl -H 'X-Api-Key: *' https://x"],
    ['curl -d {"password":"abc","user":"bob"} x', 'curl -d {"password":"*","user":"bob"} x'],
    ['sh -c "echo {\\"token\\": \\"abc\\"}"', 'sh -c "echo {\\"token\\": \\"*\\"}"'],
    ['curl https://bob:hunter2@example.com/x', 'curl https://bob:*@example.com/x'],
    ['curl -u bob:hunter2 https://x', 'curl -u bob:* https://x'],
    ['say eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl now', 'say * now'],
    ['gh auth ghp_0123456789abcdefghij', 'gh auth *'],
    ['aws AKIA0123456789ABCDEF', 'aws *'],
    ['secret=a&secret=b;pwd=c', 'secret=*&secret=*;pwd=*'],
    ['api_key := x', 'api_key := *'],
  ])('cuts the value, and only the value, out of %s', (text, expected) => {
    expect(cut(text)).toBe(expected);
  });

  it.each([
    'kubectl get secret database',
    'cat /var/run/secrets/kubernetes.io/serviceaccount/token',
    'run --token-file /etc/token --secret-name=x',
    'git log --author=bob',
    'ls -l; echo done > /tmp/out',
    'curl https://example.com:8443/path?x=1',
  ])('leaves %s alone', (text) => {
    expect(cut(text)).toBe(text);
  });

  it('tells which flag announces a credential in the next argument', () => {
    expect(['--password', '-token', '--api-key'].every(announcesCredential)).toBe(true);
    expect(['--password=x', 'password', '--token-file', '--', '-p'].some(announcesCredential)).toBe(false);
    expect(isTelling('kid')).toBe(false);
  });

  it('reports each removed value and joins spans that overlap', () => {
    const removed: string[] = [];
    const text = 'abcdef';
    const spans = [
      { start: 2, end: 5 },
      { start: 1, end: 3 },
      { start: 1, end: 1 },
    ];
    expect(cutSpans(text, spans, '*', (value) => removed.push(value))).toBe('a*f');
    expect(removed.toSorted()).toEqual(['bc', 'cde']);
  });

  it('stays linear in the length of the text', () => {
    const bits = [
      'token=',
      'token',
      '--token ',
      '--token -',
      'eyJaaaaa.',
      'eyJ-',
      '://a:',
      '"token":"',
      'bearer ',
      '-u a:',
    ];
    for (const bit of [...bits, 'Authorization: ', "token='", 'token= ', ' ', 'a', '.']) {
      const text = bit.repeat(Math.ceil(500_000 / bit.length));
      const began = performance.now();
      cut(text);
      // Quadratic would be minutes.
      expect(performance.now() - began, bit).toBeLessThan(4000);
    }
  });
});

describe('the first look at a text', () => {
  it('passes over no telling name, however it is put together', () => {
    const parts =
      'token passw passphrase passwd secret credential api access private encryption key auth or is z bearer jwt cookie session id pwd pass _ . - x 1'.split(
        ' ',
      );
    const part = fc.constantFrom(...parts).chain((text) => fc.constantFrom(text, text.toUpperCase()));
    void fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), (words) => {
        const name = words.join('');
        if (isTelling(name)) expect([name, mayBeTelling(`?a=b&${name}=c`)]).toEqual([name, true]);
      }),
      { numRuns: 5000 },
    );
  });
});
