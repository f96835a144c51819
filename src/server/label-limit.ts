// Keeps the values of a label to a bounded number, whatever comes.

/** Everything beyond the limit goes by this name. */
const REST = 'other';

type LabelLimit = (value: string) => string;

/** A function that returns the first `max` different values as they are and `other` for all further ones. */
export function limitLabels(max: number): LabelLimit {
  const known = new Set<string>();
  return (value) => {
    if (known.has(value)) return value;
    if (known.size >= max) return REST;
    known.add(value);
    return value;
  };
}
