// A mirror in a process of its own, to be killed: node mirror-child.ts '<MirrorData as JSON>'. Says `pushed <size>` for each checkpoint.
import { startMirror } from '../../src/mirror/mirror.ts';
import type { MirrorData } from '../../src/mirror/protocol.ts';

startMirror({
  data: JSON.parse(process.argv[2] ?? '') as MirrorData,
  log: () => undefined,
  onStatus: () => undefined,
  onPushed: ({ size }) => process.stdout.write(`pushed ${size}\n`),
});
// The thread alone does not keep a process alive for ever, and neither does this when its parent has gone.
process.stdin.resume().on('end', () => process.exit(0));
