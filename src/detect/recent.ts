// A Map that forgets what was set longest ago once it holds so many.

export function recent<K, V>(max: number): Map<K, V> {
  return new Recent<K, V>(max);
}

class Recent<K, V> extends Map<K, V> {
  readonly #max: number;

  constructor(max: number) {
    super();
    this.#max = max;
  }

  override set(key: K, value: V): this {
    this.delete(key);
    super.set(key, value);
    for (const oldest of this.keys()) {
      if (this.size <= this.#max) break;
      this.delete(oldest);
    }
    return this;
  }
}
