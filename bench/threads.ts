// Processor time of a process by thread, as Linux counts it.
import { readdirSync, readFileSync } from 'node:fs';

/** What /proc counts in, a second: sysconf(_SC_CLK_TCK), which is 100 on every Linux that Node runs on. */
const TICKS = 100;

/** Seconds by the name of a thread; threads of one name together. Empty where there is no /proc. */
export function threadSeconds(pid: number): Map<string, number> {
  const found = new Map<string, number>();
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return found;
  }
  for (const thread of threads) {
    const { name, seconds } = secondsOf(readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1'));
    found.set(name, (found.get(name) ?? 0) + seconds);
  }
  return found;
}

function secondsOf(stat: string): { name: string; seconds: number } {
  const end = stat.lastIndexOf(')');
  const fields = stat.slice(end + 2).split(' ');
  // Fields 14 and 15 of proc_pid_stat(5), user and system; the first after the name is field 3.
  return { name: stat.slice(stat.indexOf('(') + 1, end), seconds: (Number(fields[11]) + Number(fields[12])) / TICKS };
}
