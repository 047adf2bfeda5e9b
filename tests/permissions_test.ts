/** Each role's effective permissions, as the processes themselves find them once they serve. */
import assert from "node:assert/strict";
import { bothWays, currentWay, startServe } from "./support/serve.ts";

bothWays(
  "permissions: no role has all, and each has given up what it no longer needs",
  async () => {
    const served = await startServe({ args: ["--ephemeral", "--log-level=info"] });
    try {
      const seen = (role: string) => {
        const line = served.stderr().split("\n").find((l) =>
          l.includes('"permissions"') && l.includes(`"role":"${role}"`)
        );
        assert.ok(line, `no line of the ${role}:\n${served.stderr()}`);
        const { t: _t, level: _level, role: _role, event: _event, ...states } = JSON.parse(line);
        return states;
      };
      assert.deepEqual(seen("gateway"), {
        net: "granted",
        read: "granted",
        write: "granted",
        run: "granted",
        env: "prompt",
        sys: "prompt",
        ffi: "granted",
        import: "denied",
      });
      // A compiled program's permissions are one set for all roles, and cannot be narrowed to named hosts: only given up.
      const compiled = currentWay() === "binary";
      assert.deepEqual(seen("proxy"), {
        net: compiled ? "granted" : "prompt", // 127.0.0.1, ::1, localhost: named hosts show as nothing of the whole
        read: "prompt",
        write: "prompt",
        run: "prompt",
        env: "prompt",
        sys: "prompt",
        ffi: "granted",
        import: "denied",
      });
      const status = await (await fetch(`${served.gatewayUrl}/api/security/status`)).json();
      assert.deepEqual(status.runners[0].permissions, {
        net: "denied",
        read: compiled ? "granted" : "prompt", // its bundle, the libraries, its model
        write: "denied",
        run: "denied",
        env: "denied",
        sys: "denied",
        ffi: "granted",
        import: "denied",
      });
    } finally {
      await served.stop();
    }
  },
  "source",
);
