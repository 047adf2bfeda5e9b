/** Floats as decimal text, exactly: rounding half to even on the value that the float really has, as Python does. */

/** A finite float as `mantissa × 2 ** exponent`. */
function parts(value: number): { mantissa: bigint; exponent: number } {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, Math.abs(value));
  const bits = view.getBigUint64(0);
  const biased = Number(bits >> 52n);
  const fraction = bits & 0xf_ffff_ffff_ffffn;
  return biased === 0
    ? { mantissa: fraction, exponent: -1074 }
    : { mantissa: fraction | 1n << 52n, exponent: biased - 1075 };
}

/** `|value| × 10 ** digits`, rounded half to even. */
function scaled(value: number, digits: number): bigint {
  const { mantissa, exponent } = parts(value);
  let numerator = mantissa;
  let denominator = 1n;
  if (exponent >= 0) numerator <<= BigInt(exponent);
  else denominator <<= BigInt(-exponent);
  if (digits >= 0) numerator *= 10n ** BigInt(digits);
  else denominator *= 10n ** BigInt(-digits);
  return divideHalfEven(numerator, denominator);
}

/** Of what is not negative. */
function divideHalfEven(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator;
  const twice = (numerator % denominator) * 2n;
  if (twice > denominator || (twice === denominator && (quotient & 1n) === 1n)) {
    return quotient + 1n;
  }
  return quotient;
}

/** The digits of `|value|` with `digits` behind the point: Python's `%.{digits}f`. */
export function fixed(value: number, digits: number): string {
  const text = scaled(value, digits).toString().padStart(digits + 1, "0");
  return digits === 0 ? text : `${text.slice(0, -digits)}.${text.slice(-digits)}`;
}

/** `|value|` as one digit, a point, `digits` digits and an exponent of ten. */
export function scientific(value: number, digits: number): { digits: string; exponent: number } {
  if (value === 0) return { digits: "0".repeat(digits + 1), exponent: 0 };
  let exponent = Math.floor(Math.log10(Math.abs(value)));
  for (;;) {
    const text = scaled(value, digits - exponent).toString();
    if (text.length === digits + 1) return { digits: text, exponent };
    // The logarithm was off by one, or rounding made one digit more.
    exponent += text.length > digits + 1 ? 1 : -1;
  }
}

/** Python's `round(value, digits)`. */
export function roundFloat(value: number, digits: number): number {
  if (!Number.isFinite(value) || digits > 323) return value;
  if (digits < -309) return value < 0 ? -0 : 0;
  const whole = scaled(value, digits);
  return Number(`${value < 0 || Object.is(value, -0) ? "-" : ""}${whole}e${-digits}`);
}

/** Python's `round(value, digits)` of an int. */
export function roundInt(value: bigint, digits: number): bigint {
  if (digits >= 0) return value;
  if (-digits > value.toString().length) return 0n;
  const unit = 10n ** BigInt(-digits);
  const size = value < 0n ? -value : value;
  const rounded = divideHalfEven(size, unit) * unit;
  return value < 0n ? -rounded : rounded;
}

/** Python's `repr` of a float: the shortest text that reads back as the same. */
export function floatRepr(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value < 0 ? "-inf" : "inf";
  if (Object.is(value, -0)) return "-0.0";
  const [mantissa, power] = value.toExponential().split("e") as [string, string];
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) {
    return `${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  const plain = Math.abs(exponent) < 7 ? String(value) : expand(mantissa, exponent);
  return plain.includes(".") ? plain : `${plain}.0`;
}

function expand(mantissa: string, exponent: number): string {
  const negative = mantissa.startsWith("-");
  const digits = mantissa.replace(/[-.]/g, "");
  const text = digits.length > exponent + 1
    ? `${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`
    : digits.padEnd(exponent + 1, "0");
  return negative ? `-${text}` : text;
}
