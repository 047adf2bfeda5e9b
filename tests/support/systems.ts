/** Tests of one system. They are ignored elsewhere, and say so. */

type System = typeof Deno.build.os;

const HERE = Deno.build.os;
const said = new Set<string>();

function say(why: string): true {
  if (!said.has(why)) console.log(`skipped: tests that ${why}; this is ${HERE}`);
  said.add(why);
  return true;
}

/** For `ignore`: prints once why, where this is another system. */
export function notOn(system: System): boolean {
  return HERE !== system && say(`need ${system}`);
}

/** For `ignore`: prints once why, where this is that system. */
export function isOn(system: System): boolean {
  return HERE === system && say(`${system} cannot have`);
}
