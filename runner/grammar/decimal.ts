/** Numbers of a schema as exact decimals. A double's shortest notation is what its author wrote. */

/** coefficient × 10^-places */
interface Decimal {
  readonly coefficient: bigint;
  readonly places: number;
}

export function decimal(value: number | bigint): Decimal {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value))!;
  const [, sign, whole, fraction = "", exponent = "0"] = match;
  let coefficient = BigInt(`${whole}${fraction}`);
  let places = fraction.length - Number(exponent);
  if (places < 0) {
    coefficient *= 10n ** BigInt(-places);
    places = 0;
  }
  while (places > 0 && coefficient % 10n === 0n) {
    coefficient /= 10n;
    places--;
  }
  return { coefficient: sign === "-" ? -coefficient : coefficient, places };
}

/** The greatest whole number of units of 10^-places that is not above it. */
export function floorUnits({ coefficient, places: own }: Decimal, places: number): bigint {
  if (own <= places) return coefficient * 10n ** BigInt(places - own);
  const divisor = 10n ** BigInt(own - places);
  const quotient = coefficient / divisor;
  return coefficient < 0n && coefficient % divisor !== 0n ? quotient - 1n : quotient;
}

/** The least whole number of units that is not below it. */
export function ceilUnits(value: Decimal, places: number): bigint {
  return -floorUnits({ ...value, coefficient: -value.coefficient }, places);
}

/** Whether `value` is a whole number of steps, exactly. @param step Above 0. */
export function isMultiple(value: number | bigint, step: number): boolean {
  const [a, b] = [decimal(value), decimal(step)];
  const places = Math.max(a.places, b.places);
  return floorUnits(a, places) % floorUnits(b, places) === 0n;
}
