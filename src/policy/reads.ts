// Which parts of a value are read: a tree that grows while policies are analysed (input-reads.ts).

/** A deeper part is not told apart from what is around it. */
const MAX_DEPTH = 32;

/** A tree beyond this is not worth its upkeep. */
const MAX_NODES = 10_000;

/**
 * What is read of one value. Nothing marked: whether it is there, its type, and all of it when it is no object and no array.
 */
export class Reads {
  /** Of one analysis, in the order in which they were made. */
  readonly id: number;
  readonly members = new Map<string, Reads>();
  readonly #depth: number;
  /** Of the whole tree. */
  readonly #size: { nodes: number };
  #all = false;
  #any: Reads | undefined;

  constructor(depth = 0, size = { nodes: 0 }) {
    this.#depth = depth;
    this.#size = size;
    this.id = size.nodes++;
  }

  /** Everything in it. */
  get all(): boolean {
    return this.#all;
  }

  /** Its keys or indices, and so much of each element and of the value of each member. */
  get any(): Reads | undefined {
    return this.#any;
  }

  readAll(): void {
    this.#all = true;
  }

  /** The part under a name; undefined where everything is read already. */
  member(name: string): Reads | undefined {
    const known = this.#all ? undefined : this.members.get(name);
    if (known !== undefined) return known;
    // In a text that is no Unicode it stands for what was not: two names for one.
    const added = name.includes('\ufffd') ? this.#unknown() : this.#grow();
    if (added !== undefined) this.members.set(name, added);
    return added;
  }

  /** What any key or index may lead to; undefined where everything is read already. */
  element(): Reads | undefined {
    if (!this.#all) this.#any ??= this.#grow();
    return this.#all ? undefined : this.#any;
  }

  #grow(): Reads | undefined {
    if (this.#all) return undefined;
    if (this.#depth >= MAX_DEPTH || this.#size.nodes >= MAX_NODES) return this.#unknown();
    return new Reads(this.#depth + 1, this.#size);
  }

  #unknown(): undefined {
    this.readAll();
  }

  /** Each part as a path, `*` for any element: for people. */
  paths(name = 'input'): string[] {
    if (this.#all) return [`${name}…`];
    const parts = [...this.members].map(([key, part]) => part.paths(`${name}.${key}`));
    if (this.#any !== undefined) parts.push(this.#any.paths(`${name}.*`));
    return parts.length === 0 ? [name] : parts.flat();
  }
}
