// Preloaded into a subject where libfaketime is not installed: Date.now() and new Date() follow the file that CHAOS_CLOCK names,
// which holds an offset in seconds.
import { readFileSync } from 'node:fs';
const file = process.env['CHAOS_CLOCK'] ?? '';
const trueNow = Date.now;
function now() {
    // A parent that is writing the file at this moment has emptied it.
    return trueNow() + Number(readFileSync(file, 'utf8')) * 1000;
}
globalThis.Date = new Proxy(Date, {
    construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
    get: (target, key) => (key === 'now' ? now : Reflect.get(target, key)),
});
