/** Go's `strconv.FormatFloat` for 64 bits. */

/** Decimal digits of a positive number, and where its point is: 0.d₁d₂… × 10 ** point. */
interface Digits {
  readonly digits: string;
  readonly point: number;
}

/**
 * @param precision Digits behind the point, for `g` all significant ones; -1: as few as say which number it is.
 */
export function formatFloat(value: number, verb: string, precision: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const positive = Math.abs(value);
  switch (verb) {
    case "b":
      return sign + binaryExponent(positive);
    case "x":
    case "X": {
      const text = hexadecimal(positive, precision);
      return sign + (verb === "X" ? text.toUpperCase() : text);
    }
    case "f":
      return sign + fixed(digitsFor(positive, "f", precision), precision);
    case "e":
    case "E":
      return sign + exponential(digitsFor(positive, "e", precision), precision, verb);
    default:
      return sign + general(positive, precision, verb === "G" ? "E" : "e");
  }
}

function general(value: number, precision: number, e: string): string {
  const isShortest = precision < 0;
  const wanted = precision === 0 ? 1 : precision;
  const found = digitsFor(value, "g", wanted);
  let limit = isShortest ? 6 : wanted;
  if (!isShortest && limit > found.digits.length && found.digits.length >= found.point) {
    limit = found.digits.length;
  }
  const exponent = found.point - 1;
  if (exponent < -4 || exponent >= limit) {
    return exponential(found, Math.min(wanted < 0 ? Infinity : wanted, found.digits.length) - 1, e);
  }
  return fixed(found, Math.max(found.digits.length - found.point, 0));
}

function digitsFor(value: number, verb: "e" | "f" | "g", precision: number): Digits {
  if (precision < 0) return shortest(value);
  const { digits, point } = exact(value);
  const keep = verb === "e" ? precision + 1 : verb === "f" ? point + precision : precision;
  const rounded = round(digits, point, keep);
  // `g` leaves trailing zeros out.
  return verb === "g" ? { ...rounded, digits: rounded.digits.replace(/0+$/, "") } : rounded;
}

/** As few digits as tell the number from its neighbours: JavaScript looks for the same ones. */
function shortest(value: number): Digits {
  if (value === 0) return { digits: "", point: 0 };
  const match = /^(\d)(?:\.(\d+))?e([-+]\d+)$/.exec(value.toExponential())!;
  return { digits: match[1]! + (match[2] ?? ""), point: Number(match[3]) + 1 };
}

/** Every digit of the number. */
function exact(value: number): Digits {
  if (value === 0) return { digits: "", point: 0 };
  const { mantissa, exponent } = split(value);
  const all = exponent >= 0
    ? (mantissa << BigInt(exponent)).toString()
    : (mantissa * 5n ** BigInt(-exponent)).toString();
  const point = exponent >= 0 ? all.length : all.length + exponent;
  return { digits: all.replace(/0+$/, ""), point };
}

/** value = mantissa × 2 ** exponent */
function split(value: number): { mantissa: bigint; exponent: number } {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  const all = bits.getBigUint64(0);
  const biased = Number(all >> 52n & 0x7ffn);
  const fraction = all & (1n << 52n) - 1n;
  return biased === 0
    ? { mantissa: fraction, exponent: -1074 }
    : { mantissa: fraction | 1n << 52n, exponent: biased - 1075 };
}

/** The first `keep` digits, rounded to the nearest, halves to even. */
function round(digits: string, point: number, keep: number): Digits {
  if (keep >= digits.length) return { digits, point };
  if (keep < 0) return { digits: "", point: 0 };
  const rest = digits.slice(keep);
  const isOdd = keep > 0 && Number(digits[keep - 1]) % 2 === 1;
  const isUp = rest[0]! > "5" || rest[0] === "5" && (/[1-9]/.test(rest.slice(1)) || isOdd);
  const kept = digits.slice(0, keep);
  if (!isUp) {
    const trimmed = kept.replace(/0+$/, "");
    return trimmed === "" ? { digits: "", point: 0 } : { digits: trimmed, point };
  }
  const up = (BigInt(kept === "" ? "0" : kept) + 1n).toString().padStart(keep, "0");
  return { digits: up.replace(/0+$/, ""), point: point + up.length - keep };
}

function fixed({ digits, point }: Digits, precision: number): string {
  const places = precision < 0 ? Math.max(digits.length - point, 0) : precision;
  const whole = point > 0 ? digits.slice(0, point).padEnd(point, "0") : "0";
  if (places === 0) return whole;
  const behind = "0".repeat(Math.max(-point, 0)) + digits.slice(Math.max(point, 0));
  return `${whole}.${behind.slice(0, places).padEnd(places, "0")}`;
}

function exponential({ digits, point }: Digits, precision: number, e: string): string {
  const places = precision < 0 ? Math.max(digits.length - 1, 0) : precision;
  const rest = digits.slice(1, 1 + places).padEnd(places, "0");
  const exponent = digits === "" ? 0 : point - 1;
  return (digits[0] ?? "0") + (rest === "" ? "" : `.${rest}`) + e + signed(exponent);
}

function signed(exponent: number): string {
  const digits = String(Math.abs(exponent)).padStart(2, "0");
  return (exponent < 0 ? "-" : "+") + digits;
}

function binaryExponent(value: number): string {
  const { mantissa, exponent } = split(value);
  return `${mantissa}p${exponent < 0 ? "" : "+"}${exponent}`;
}

/** `0x1.8p+01` */
function hexadecimal(value: number, precision: number): string {
  if (value === 0) return `0x0${precision > 0 ? "." + "0".repeat(precision) : ""}p+00`;
  let { mantissa, exponent } = split(value);
  // One digit in front of the point, a 1, and 13 behind it.
  const shift = 53 - mantissa.toString(2).length;
  mantissa <<= BigInt(shift);
  exponent += 52 - shift;
  if (precision >= 0 && precision < 13) {
    const drop = BigInt(4 * (13 - precision));
    const rest = mantissa & (1n << drop) - 1n;
    const half = 1n << (drop - 1n);
    mantissa >>= drop;
    if (rest > half || rest === half && (mantissa & 1n) === 1n) mantissa++;
    mantissa <<= drop;
    if (mantissa >> 53n > 0n) {
      mantissa >>= 1n;
      exponent++;
    }
  }
  const digits = mantissa.toString(16);
  const behind = precision < 0
    ? digits.slice(1).replace(/0+$/, "")
    : digits.slice(1, 1 + precision).padEnd(precision, "0");
  return `0x${digits[0]}${behind === "" ? "" : "." + behind}p${signed(exponent)}`;
}
