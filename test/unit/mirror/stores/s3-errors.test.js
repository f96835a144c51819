import { describe, expect, it } from 'vitest';
import { s3Error } from '../../../../src/mirror/stores/s3-errors.js';
const attempt = { doing: 'writing s3://bucket/key', bucket: 'bucket', permissions: 's3:PutObject' };
/** What the SDK throws: an Error with a name, and what it knows of the answer. */
function thrown(name, parts = {}) {
    const { message = 'told', status, headers, ...rest } = parts;
    const error = Object.assign(new Error(message), rest, { name });
    return Object.assign(error, status === undefined ? {} : { $metadata: { httpStatusCode: status }, $response: { headers } });
}
/** As Node has it when every address of a name failed: without a message of its own. */
function several(error) {
    return Object.assign(new AggregateError([error], 'several'), { message: '' });
}
describe('an error of S3, as one of ours', () => {
    it.each([
        [
            thrown('PermanentRedirect', { status: 301, headers: { 'x-amz-bucket-region': 'eu-west-1' } }),
            'MIRROR_WRONG_REGION',
            /eu-west-1/,
        ],
        [
            thrown('AuthorizationHeaderMalformed', {
                status: 400,
                message: "the region 'a' is wrong; expecting 'eu-west-2'",
            }),
            'MIRROR_WRONG_REGION',
            /to eu-west-2/,
        ],
        [thrown('301', { status: 301 }), 'MIRROR_WRONG_REGION', /the region of bucket/],
        [
            thrown('InvalidRequest', { status: 400, message: 'Bucket is missing Object Lock Configuration' }),
            'MIRROR_NO_OBJECT_LOCK',
            /enable versioning/,
        ],
        [
            thrown('InvalidRequest', { status: 400, message: 'Bucket is missing ObjectLockConfiguration' }),
            'MIRROR_NO_OBJECT_LOCK',
            /retention.mode to none/,
        ],
        [
            thrown('InvalidArgument', { status: 400, message: 'The retain until date must be in the future!' }),
            'MIRROR_CLOCK',
            /synchronise/,
        ],
        [thrown('InvalidArgument', { status: 400 }), 'MIRROR_REFUSED', /mirror check/],
        [
            thrown('AccessDenied', { status: 403, message: 'not authorized to perform: kms:GenerateDataKey' }),
            'MIRROR_KMS',
            /kmsKeyId/,
        ],
        [
            thrown('AccessDenied', { status: 403, message: 'Not authorized to perform sts:AssumeRoleWithWebIdentity' }),
            'MIRROR_CREDENTIALS',
            /trust policy/,
        ],
        [thrown('AccessDenied', { status: 403 }), 'MIRROR_ACCESS_DENIED', /s3:PutObject/],
        [thrown('ExpiredTokenException', { status: 400 }), 'MIRROR_CREDENTIALS', /expired/],
        [thrown('CredentialsProviderError'), 'MIRROR_CREDENTIALS', /web identity/],
        [thrown('Error', { code: 'CERT_HAS_EXPIRED' }), 'MIRROR_CERTIFICATE', /CERT_HAS_EXPIRED/],
        [thrown('Error', { code: 'ERR_TLS_CERT_ALTNAME_INVALID' }), 'MIRROR_CERTIFICATE', /caFile/],
        [thrown('Error', { code: 'EPROTO' }), 'MIRROR_REFUSED', /https/],
        [thrown('Error', { code: 'ENOTFOUND' }), 'MIRROR_UNAVAILABLE', /pathStyle/],
        [thrown('Error', { code: 'ECONNRESET' }), 'MIRROR_UNAVAILABLE', /tried again/],
        [thrown('TimeoutError'), 'MIRROR_UNAVAILABLE', /tried again/],
        [thrown('AbortError'), 'MIRROR_UNAVAILABLE', /tried again/],
        [
            several(thrown('Error', { message: 'connect ECONNREFUSED 127.0.0.1:1', code: 'ECONNREFUSED' })),
            'MIRROR_UNAVAILABLE',
            /ECONNREFUSED/,
        ],
        [thrown('RequestTimeout', { status: 400 }), 'MIRROR_UNAVAILABLE', /tried again/],
        [thrown('ConditionalRequestConflict', { status: 409 }), 'MIRROR_UNAVAILABLE', /same key/],
        [thrown('TooManyRequests', { status: 429 }), 'MIRROR_THROTTLED', /slowly/],
        [thrown('BadDigest', { status: 400 }), 'MIRROR_TRANSFER_DAMAGED', /proxies/],
        [thrown('SyntaxError', { status: 200 }), 'MIRROR_TRANSFER_DAMAGED', /proxies/],
        [thrown('NotImplemented', { status: 501 }), 'MIRROR_REFUSED', /lacks/],
        [thrown('Error', { message: 'Region is missing' }), 'MIRROR_URL_INVALID', /region/],
        [new TypeError('x is not a function'), 'INTERNAL', /mistake in Sealgate/],
    ])('%s is %s', (error, code, remedy) => {
        const ours = s3Error(error, attempt);
        expect(ours).toMatchObject({ code, cause: error });
        expect(ours.message).toMatch(remedy);
        expect(ours.message).toMatch(/^writing s3:\/\/bucket\/key failed: /);
    });
    it('keeps the message to one line of bounded length, whatever the server says', () => {
        const { message } = s3Error(thrown('Odd', { message: `a\nb\u2028${'x'.repeat(10_000)}`, status: 400 }), attempt);
        expect(message).not.toMatch(/\n/);
        expect(message.length).toBeLessThan(800);
    });
});
