// Reads the tar archive that `opa build` writes: regular files with short names (POSIX ustar), nothing else.

const BLOCK = 512;

/** Contents by name, without the leading slash that OPA puts there. Throws an Error when the archive is cut short. */
export function readTar(archive: Uint8Array): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  for (let at = 0; at + BLOCK <= archive.length; ) {
    const header = archive.subarray(at, at + BLOCK);
    if (header[0] === 0) break;
    const size = Number.parseInt(text(header, 124, 12), 8);
    const name = text(header, 0, 100).replace(/^\/+/, '');
    const start = at + BLOCK;
    if (!Number.isSafeInteger(size) || start + size > archive.length) throw new Error('the archive is cut short');
    files.set(name, archive.subarray(start, start + size));
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}

function text(header: Uint8Array, start: number, length: number): string {
  const field = header.subarray(start, start + length);
  const end = field.indexOf(0);
  return Buffer.from(end < 0 ? field : field.subarray(0, end))
    .toString('utf8')
    .trim();
}
