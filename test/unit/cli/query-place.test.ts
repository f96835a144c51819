import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../src/cli/failure.ts';
import { parsePlace } from '../../../src/cli/query-place.ts';

const HASH = 'ab'.repeat(32);

describe('an entry that is named', () => {
  it.each([
    ['12', undefined, { place: '12' }],
    ['3/12', undefined, { place: '3/12' }],
    ['sealgate-1/3/12', undefined, { place: '3/12', replica: 'sealgate-1' }],
    ['audit.example.com/prod/sealgate-1/3', '12', { place: '3/12', replica: 'audit.example.com/prod/sealgate-1' }],
    ['sealgate-1/3', '12', { place: '3/12', replica: 'sealgate-1' }],
    // As annotations have it.
    [`a.example/prod/sealgate-1/3:12:${HASH}`, undefined, { place: '3/12', replica: 'a.example/prod/sealgate-1' }],
    ['a.example/prod/sealgate-1/3:12', undefined, { place: '3/12', replica: 'a.example/prod/sealgate-1' }],
  ])('as %s %s is found', (entry, seq, named) => {
    expect(parsePlace(entry, seq)).toEqual(named);
  });

  it.each([
    ['web', undefined],
    ['sealgate-1', '12'],
    ['sealgate-1/12', undefined],
    ['a b/0/1', undefined],
    ['0/-1', undefined],
    ['', undefined],
    ['0/1:ab', undefined],
  ])('as %s %s is refused with the forms that there are', (entry, seq) => {
    expect(() => parsePlace(entry, seq)).toThrow(UsageError);
    expect(() => parsePlace(entry, seq)).toThrow('<replica>/<shard>/<seq>');
  });
});
