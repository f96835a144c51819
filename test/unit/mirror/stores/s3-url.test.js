import { describe, expect, it } from 'vitest';
import { parseS3Url } from '../../../../src/mirror/stores/s3-url.js';
describe('an s3:// URL', () => {
    it('is a bucket and a prefix, whatever slashes are at its end', () => {
        for (const [url, bucket, prefix] of [
            ['s3://bucket', 'bucket', ''],
            ['s3://bucket/', 'bucket', ''],
            ['s3://my.bucket-1/a', 'my.bucket-1', 'a/'],
            ['s3://bucket/a/b//', 'bucket', 'a/b/'],
            ['S3://bucket/A', 'bucket', 'A/'],
        ]) {
            expect(parseS3Url(url), url).toEqual({ bucket, prefix });
        }
    });
    it('is refused when bucket or prefix could not be one, or somebody put options into it', () => {
        for (const url of [
            's3://',
            's3:///prefix',
            's3://ab',
            's3://Bucket',
            's3://bucket_1',
            's3://key:secret@bucket/a',
            's3://bucket:9000/a',
            's3://bucket/a//b',
            's3://bucket/../b',
            's3://bucket/a b',
            's3://bucket/a?region=eu',
        ]) {
            expect(() => parseS3Url(url), url).toThrow(expect.objectContaining({ code: 'MIRROR_URL_INVALID' }));
        }
    });
});
