import { describe, expect, it } from 'vitest';
import { listObjects, listVersions } from '../../../../src/mirror/stores/s3-listing.js';
import { collect } from '../../../support/store-suite.js';
const answer = { $metadata: {} };
describe('a listing', () => {
    it('ends in an error when it goes on without saying where, or again where it was', async () => {
        for (const NextContinuationToken of [undefined, '', 'same']) {
            const pages = listObjects('p/', async () => ({
                ...answer,
                IsTruncated: true,
                ...(NextContinuationToken && { NextContinuationToken }),
            }));
            await expect(collect(pages)).rejects.toMatchObject({ code: 'MIRROR_REFUSED' });
        }
        for (const NextKeyMarker of [undefined, 'same']) {
            const pages = listVersions('p/', async () => ({
                ...answer,
                IsTruncated: true,
                ...(NextKeyMarker && { NextKeyMarker }),
            }));
            await expect(collect(pages)).rejects.toMatchObject({ code: 'MIRROR_REFUSED' });
        }
    });
    it('decodes keys that came encoded, and shows what cannot be decoded as it came', async () => {
        const Contents = ['p/a%2Fb+c%25', 'p/%FF%zz'].map((Key) => ({ Key, Size: 1 }));
        const encoded = listObjects('p/', async () => ({ ...answer, EncodingType: 'url', Contents }));
        expect((await collect(encoded)).map(({ key }) => key)).toEqual(['a/b c%', '%FF%zz']);
        const plain = listObjects('p/', async () => ({ ...answer, Contents }));
        expect((await collect(plain)).map(({ key }) => key)).toEqual(['a%2Fb+c%25', '%FF%zz']);
    });
    it('gives each version once, though a page begins with the last one of the page before', async () => {
        const one = (Key, VersionId) => ({
            Key,
            VersionId,
            Size: 1,
            IsLatest: false,
            LastModified: new Date(0),
        });
        const pages = [
            {
                Versions: [one('p/a', '1'), one('p/b', '1')],
                IsTruncated: true,
                NextKeyMarker: 'p/b',
                NextVersionIdMarker: '1',
            },
            { Versions: [one('p/b', '1'), one('p/b', '2')], DeleteMarkers: [one('p/c', '1')] },
        ];
        let page = 0;
        const found = await collect(listVersions('p/', async () => ({ ...answer, ...pages[page++] })));
        expect(found.map(({ key, version, deleteMarker }) => [key, version, deleteMarker])).toEqual([
            ['a', '1', false],
            ['b', '1', false],
            ['b', '2', false],
            ['c', '1', true],
        ]);
    });
});
