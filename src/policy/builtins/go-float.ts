// Prints a float64 as Go's strconv.FormatFloat does: exact decimal expansion, rounded half to even.

interface Decimal {
  /** Significant digits, at least one. */
  readonly digits: string;
  /** Power of ten of the first digit. */
  readonly exponent: number;
}

/** mantissa × 2^exponent, exactly. */
function split(value: number): { mantissa: bigint; exponent: number } {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const biased = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xfffffffffffffn;
  return biased === 0
    ? { mantissa: fraction, exponent: -1074 }
    : { mantissa: fraction | (1n << 52n), exponent: biased - 1075 };
}

/** value × 10^scale as an integer, rounded half to even. `value` is not negative. */
function scaled(value: number, scale: number): bigint {
  const { mantissa, exponent } = split(value);
  let numerator = mantissa;
  let denominator = 1n;
  if (exponent >= 0) numerator <<= BigInt(exponent);
  else denominator <<= BigInt(-exponent);
  if (scale >= 0) numerator *= 10n ** BigInt(scale);
  else denominator *= 10n ** BigInt(-scale);
  const quotient = numerator / denominator;
  const twice = (numerator % denominator) * 2n;
  return twice > denominator || (twice === denominator && quotient % 2n === 1n) ? quotient + 1n : quotient;
}

/** The shortest digits that read back as the same float64. */
function shortest(value: number): Decimal {
  const [mantissa = '0', exponent = '0'] = value.toExponential().split('e');
  return { digits: mantissa.replace('.', ''), exponent: Number(exponent) };
}

/** Exactly `count` significant digits. */
function rounded(value: number, count: number): Decimal {
  if (value === 0) return { digits: '0'.repeat(count), exponent: 0 };
  const estimate = shortest(value).exponent;
  const digits = scaled(value, count - 1 - estimate).toString();
  return digits.length > count
    ? { digits: digits.slice(0, count), exponent: estimate + 1 }
    : { digits, exponent: estimate };
}

function fixed(value: number, precision: number): string {
  if (precision >= 0) {
    const text = scaled(value, precision)
      .toString()
      .padStart(precision + 1, '0');
    return precision === 0 ? text : `${text.slice(0, -precision)}.${text.slice(-precision)}`;
  }
  return plain(shortest(value));
}

/** Digits and exponent written without an exponent. */
function plain({ digits, exponent }: Decimal): string {
  if (exponent < 0) return `0.${'0'.repeat(-exponent - 1)}${digits}`;
  if (exponent >= digits.length - 1) return digits.padEnd(exponent + 1, '0');
  return `${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`;
}

function scientific({ digits, exponent }: Decimal, letter: string): string {
  const fraction = digits.length > 1 ? `.${digits.slice(1)}` : '';
  const power = String(Math.abs(exponent)).padStart(2, '0');
  return `${digits[0]}${fraction}${letter}${exponent < 0 ? '-' : '+'}${power}`;
}

function general(value: number, precision: number, letter: string): string {
  const decimal = precision < 0 ? shortest(value) : rounded(value, Math.max(precision, 1));
  const trimmed = { digits: decimal.digits.replace(/(?<=.)0+$/, ''), exponent: decimal.exponent };
  // strconv: the exponent form is used below 1e-4 and from the precision up, which counts as 6 for the shortest form.
  const limit = precision < 0 ? 6 : Math.max(precision, 1);
  return decimal.exponent < -4 || decimal.exponent >= limit ? scientific(trimmed, letter) : plain(trimmed);
}

/** Hexadecimal mantissa and binary exponent: 0x1.8p+00. */
function hexadecimal(value: number, precision: number): string {
  let { mantissa, exponent } = split(value);
  if (mantissa === 0n) return `0x0${precision > 0 ? `.${'0'.repeat(precision)}` : ''}p+00`;
  while (mantissa < 1n << 52n) {
    mantissa <<= 1n;
    exponent--;
  }
  exponent += 52;
  if (precision >= 0 && precision < 13) {
    const cut = BigInt(4 * (13 - precision));
    const half = 1n << (cut - 1n);
    const rest = mantissa & ((1n << cut) - 1n);
    mantissa >>= cut;
    if (rest > half || (rest === half && mantissa % 2n === 1n)) mantissa++;
    mantissa <<= cut;
    if (mantissa >= 1n << 53n) {
      mantissa >>= 1n;
      exponent++;
    }
  }
  const all = (mantissa & ((1n << 52n) - 1n)).toString(16).padStart(13, '0');
  const digits = precision < 0 ? all.replace(/0+$/, '') : all.padEnd(precision, '0').slice(0, precision);
  const power = String(Math.abs(exponent)).padStart(2, '0');
  return `0x1${digits === '' ? '' : `.${digits}`}p${exponent < 0 ? '-' : '+'}${power}`;
}

/**
 * The magnitude of a finite `value` for the verb b, e, E, f, F, g, G, x or X; `precision` is -1 for the shortest form.
 */
export function formatMagnitude(value: number, verb: string, precision: number): string {
  const magnitude = Math.abs(value);
  switch (verb) {
    case 'e':
    case 'E':
      return scientific(precision < 0 ? shortest(magnitude) : rounded(magnitude, precision + 1), verb);
    case 'f':
    case 'F':
      return fixed(magnitude, precision);
    case 'x':
      return hexadecimal(magnitude, precision);
    case 'X':
      return hexadecimal(magnitude, precision).toUpperCase();
    case 'b': {
      const { mantissa, exponent } = split(magnitude);
      return `${mantissa}p${exponent < 0 ? '-' : '+'}${Math.abs(exponent)}`;
    }
    default:
      return general(magnitude, precision, verb === 'G' ? 'E' : 'e');
  }
}
