import { describe, expect, it } from 'vitest';
import { nearestName } from '../../../src/lib/nearest.js';
describe('nearestName', () => {
    it.each([
        ['severty', 'severity'],
        ['Severity', 'severity'],
        ['sevreity', 'severity'],
        ['actions', 'action'],
        ['zebra', undefined],
        ['', undefined],
    ])('takes %j for %j', (name, expected) => {
        expect(nearestName(name, ['action', 'severity', 'controls'])).toBe(expected);
    });
});
