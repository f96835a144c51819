import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Gathering } from '../../../src/ledger/gathering.ts';

/** The time at which each batch was sent, from the beginning of the test. */
let sent: number[];
let gathering: Gathering;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setImmediate', 'setTimeout', 'clearTimeout', 'performance'] });
  sent = [];
  const began = performance.now();
  gathering = new Gathering(() => sent.push(performance.now() - began));
});

afterEach(() => {
  vi.useRealTimers();
});

describe('what waits for the writer', () => {
  it('is sent at the end of the turn, all of it at once, when nothing else is about to come', () => {
    gathering.wait();
    gathering.wait();
    expect(sent).toEqual([]);
    vi.advanceTimersByTime(0);
    expect(sent).toEqual([0]);
    gathering.wait();
    vi.advanceTimersByTime(0);
    expect(sent).toEqual([0, 0]);
  });

  it('waits for what is about to come, and is sent together with it', () => {
    const comes = gathering.announce();
    gathering.wait();
    vi.advanceTimersByTime(0);
    expect(sent).toEqual([]);
    comes();
    gathering.wait();
    vi.advanceTimersByTime(0);
    expect(sent).toEqual([0]);
  });

  it('is sent when what was about to come will not', () => {
    const comes = gathering.announce();
    gathering.wait();
    vi.advanceTimersByTime(0);
    comes();
    vi.advanceTimersByTime(0);
    expect(sent).toEqual([0]);
    vi.advanceTimersByTime(100);
    expect(sent).toEqual([0]);
  });

  it('waits no longer than a millisecond', () => {
    for (let i = 0; i < 3; i++) {
      gathering.announce();
      gathering.wait();
      vi.advanceTimersByTime(1);
      expect(sent).toHaveLength(i + 1);
    }
    expect(sent).toEqual([1, 2, 3]);
  });

  it('does not wait for what takes long', () => {
    const late = gathering.announce();
    vi.advanceTimersByTime(2);
    gathering.wait();
    vi.advanceTimersByTime(0);
    expect(sent).toEqual([2]);
    late();
    gathering.wait();
    vi.advanceTimersByTime(0);
    expect(sent).toEqual([2, 2]);
  });

  it('announced twice over is waited for to the last', () => {
    const [first, second] = [gathering.announce(), gathering.announce()];
    gathering.wait();
    first();
    first();
    vi.advanceTimersByTime(0);
    expect(sent).toEqual([]);
    second();
    vi.advanceTimersByTime(0);
    expect(sent).toEqual([0]);
  });
});
