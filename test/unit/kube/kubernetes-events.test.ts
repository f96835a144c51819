import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type KubernetesEvent, KubernetesEvents } from '../../../src/kube/kubernetes-events.ts';

function events(options: { fails?: () => boolean } = {}) {
  let now = 0;
  const written: KubernetesEvent[] = [];
  const results: string[] = [];
  const lines: string[] = [];
  const writer = new KubernetesEvents({
    ...{ namespace: 'sealgate-system', pod: 'sealgate-0', kubeconfig: undefined },
    now: () => now,
    onResult: (result) => void results.push(result),
    log: (level, _fields, message) => void lines.push(`${level} ${message}`),
    connect: async () => async (event) => {
      if (options.fails?.() === true) throw new Error('forbidden');
      written.push(event);
    },
  });
  const offer = async (count: number) => {
    for (let i = 0; i < count; i++) writer.offer({ reason: 'Session', note: String(i), type: 'Warning' });
    for (let i = 0; i < 10; i++) await setImmediate();
  };
  return { written, results, lines, offer, pass: (ms: number) => (now += ms) };
}

describe('Kubernetes Events', () => {
  it('are few, however many findings there are', async () => {
    const { offer, written, results, pass } = events();
    await offer(1000);
    expect(written).toHaveLength(20);
    expect(results.filter((result) => result === 'limited')).toHaveLength(980);
    pass(29_999);
    await offer(1);
    expect(written).toHaveLength(20);
    pass(60_001);
    await offer(10);
    expect(written).toHaveLength(23);
    pass(86_400_000);
    await offer(1000);
    expect(written).toHaveLength(43);
  });

  it('that cannot be written are counted, said once, and harm nothing', async () => {
    let fails = true;
    const { offer, results, lines } = events({ fails: () => fails });
    await offer(2);
    fails = false;
    await offer(1);
    expect(results).toEqual(['failed', 'failed', 'written']);
    expect(lines).toEqual([
      expect.stringContaining('warn a Kubernetes Event cannot'),
      expect.stringContaining('info Kubernetes Events are written again'),
    ]);
  });
});
