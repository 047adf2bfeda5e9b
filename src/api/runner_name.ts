/**
 * Which runner a sealed request is for, said in clear for whatever balances between gateways: `Secllama-Runner: HOST.RK`, or
 * `RK` alone where the host has no label. RK is the request header's `rk` in hexadecimal. The answer with a key document has
 * it, and the client repeats it with what it seals to that key. It protects nothing: the gateway goes by the sealed body, and
 * refuses a header that says another.
 */

/** The header's name. */
export const RUNNER_HEADER = "secllama-runner";

/** A label of a host that balancers know it by: a part of a name in the DNS, in lower case. */
export const HOST_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * The header's value.
 * @param rk 16 hexadecimal digits.
 * @param label The host's label; empty: it has none.
 */
export function runnerName(rk: string, label: string): string {
  return label === "" ? rk : `${label}.${rk}`;
}

/** The `rk` that a value names, or undefined if it is none such. */
export function namedRunner(value: string): string | undefined {
  const match = /^(?:([^.]*)\.)?([0-9a-f]{16})$/.exec(value);
  const label = match?.[1];
  return match && (label === undefined || HOST_LABEL.test(label)) ? match[2] : undefined;
}
