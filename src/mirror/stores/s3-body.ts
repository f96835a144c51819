// The body of an answer, read whole or not at all.
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { messageOf, SealgateError } from '../../lib/errors.ts';
import { storeError } from './errors.ts';
import type { S3Attempt } from './s3-errors.ts';

/**
 * At most `max` bytes. The SDK compares the checksum when S3 kept one; the length is compared here. Throws
 * MIRROR_OBJECT_TOO_LARGE and MIRROR_TRANSFER_DAMAGED.
 */
export async function readBody(answer: GetObjectCommandOutput, { doing }: S3Attempt, max: number): Promise<Buffer> {
  const { Body: body, ContentLength: length } = answer;
  if (body === undefined) return Buffer.alloc(0);
  const stream = body as unknown as AsyncIterable<Uint8Array> & { destroy(): void };
  const chunks: Uint8Array[] = [];
  let read = 0;
  try {
    // The stream is destroyed when the loop is left early, and the connection with it.
    if (length === undefined || length <= max) {
      for await (const chunk of stream) {
        read += chunk.length;
        if (read > max) break;
        chunks.push(chunk);
      }
    }
  } catch (cause) {
    throw storeError(
      'MIRROR_TRANSFER_DAMAGED',
      `${doing}: the body ended or changed on the way after ${read} bytes (${messageOf(cause)})`,
      cause,
    );
  } finally {
    stream.destroy();
  }
  if (read > max || (length !== undefined && length > max)) {
    throw new SealgateError(
      'MIRROR_OBJECT_TOO_LARGE',
      `${doing}: it has ${length ?? `over ${max}`} bytes, more than the ${max} that belong there`,
    );
  }
  if (length !== undefined && read !== length) {
    throw new SealgateError('MIRROR_TRANSFER_DAMAGED', `${doing}: ${read} bytes of ${length} arrived`);
  }
  return Buffer.concat(chunks, read);
}
