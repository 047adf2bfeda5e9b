import assert from "node:assert/strict";
import { HOST_LABEL } from "../api/runner_name.ts";
import { encodeEnrolment, encodePin, parseEnrolment, parsePin } from "./lines.ts";
import { natsIdentity } from "./nkey.ts";
import { bundleKeys } from "./record.ts";

const SEED = new Uint8Array(32).fill(7);

async function lines() {
  const { pk } = await bundleKeys(SEED.slice());
  const enrolment = {
    ...{ label: "gpu-1", hid: SEED.slice(0, 16), pk, audit: SEED },
    nats: natsIdentity(SEED).user,
  };
  const pin = { fid: SEED.slice(0, 16), issuer: SEED };
  return { enrolment, pin, host: encodeEnrolment(enrolment), fleet: encodePin(pin) };
}

Deno.test("fleet: a host's and a fleet's line are read as they are printed, and as a terminal breaks them", async () => {
  const { enrolment, pin, host, fleet } = await lines();
  for (const broken of [(line: string) => line, (line: string) => ` ${line}\n`, wrapped]) {
    assert.deepEqual(await parseEnrolment(broken(host), HOST_LABEL), enrolment);
    assert.deepEqual(parsePin(broken(fleet)), pin);
  }
});

Deno.test("fleet: a line that was cut is said to be cut, wherever that was", async () => {
  const { host, fleet } = await lines();
  const isCut = { code: "usage", message: /line is not whole, or was changed/ };
  for (let end = "secllama-host-1.".length; end < host.length; end += 7) {
    await assert.rejects(parseEnrolment(host.slice(0, end), HOST_LABEL), isCut, `${end}`);
  }
  for (let end = "secllama-fleet-1.".length; end < fleet.length; end++) {
    assert.throws(() => parsePin(fleet.slice(0, end)), isCut, `${end}`);
  }
  for (const more of ["x", "…", "."]) {
    await assert.rejects(parseEnrolment(host + more, HOST_LABEL), isCut);
    assert.throws(() => parsePin(fleet + more), isCut);
  }
});

Deno.test("fleet: who is given the other kind of line, another version's or none is told so", async () => {
  const { host, fleet } = await lines();
  assert.throws(() => parsePin(host), { message: /takes a fleet's line.*that is a host's/ });
  await assert.rejects(parseEnrolment(fleet, HOST_LABEL), {
    message: /takes a host's line.*that is a fleet's/,
    hint: /secllama fleet join/,
  });
  assert.throws(() => parsePin(fleet.replace("-1.", "-2.")), { message: /another version/ });
  await assert.rejects(parseEnrolment(host.replace("-1.", "-2."), HOST_LABEL), {
    message: /another version/,
  });
  for (const text of ["", "secllama-host", "gpu-1", "secllama-host-1", fleet.slice(1)]) {
    assert.throws(() => parsePin(text), { message: /begins with secllama-fleet-1\./ }, text);
    await assert.rejects(parseEnrolment(text, HOST_LABEL), {
      message: /begins with secllama-host-1\./,
    });
  }
});

function wrapped(line: string): string {
  return line.replace(/.{40}/g, "$&\n  ");
}
