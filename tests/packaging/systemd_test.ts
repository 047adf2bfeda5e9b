/**
 * The service under a real systemd: installed, used, killed, misconfigured, upgraded and taken away, by the commands of
 * docs/install.md as that page prints them.
 */
import assert from "node:assert/strict";
import { until } from "../support/patience.ts";
import { bootSystemd, type Machine, systemdIgnored } from "../support/systemd.ts";

const PAGE = await Deno.readTextFile(new URL("../../docs/install.md", import.meta.url));
const BLOCKS = new Map(
  [...PAGE.matchAll(/<!-- tested: (\w+) -->\s*```sh\n([^]*?)```/g)].map(([, name, text]) =>
    [name!, text!] as const
  ),
);
const ran = new Set<string>();

/** A block of the page. */
function block(name: string): string {
  ran.add(name);
  return `set -e\n${BLOCKS.get(name)!}`;
}

async function works(machine: Machine, text: string, as?: string): Promise<string> {
  const { code, stdout, stderr } = await machine.sh(text, as);
  assert.equal(code, 0, `${text}\n${stdout}${stderr}`);
  return stdout;
}

interface Status {
  readonly runs: boolean;
  readonly units: readonly {
    name: string;
    active: boolean;
    pid: number | null;
    restarts: number | null;
    state: string;
  }[];
}

async function status(machine: Machine): Promise<Status> {
  return JSON.parse((await machine.sh("secllama service status --json")).stdout);
}

/** `secllama uninstall` beside units that a real `service install` made and started: of the user, and of the system. */
async function takenAway(machine: Machine): Promise<void> {
  const unit = "/home/amelie/.config/systemd/user/secllama.service";
  const running = await machine.sh("secllama uninstall --yes", "amelie");
  assert.ok(running.code === 8 || running.code === 9, running.stderr);
  assert.match(running.stderr, /^error: a serve.* runs[^]*hint: end it/m);
  await works(machine, "systemctl --user is-active secllama.service", "amelie");
  await works(machine, "systemctl --user stop secllama.service", "amelie");
  const { code, stdout, stderr } = await machine.sh("secllama uninstall --yes", "amelie");
  assert.deepEqual([code, stdout], [0, "removed\n"], stderr);
  assert.ok(stderr.includes(`still there: ${unit}  (to take it away: secllama service uninstall)`));
  await works(machine, "secllama service uninstall", "amelie");
  const again = await machine.sh("secllama uninstall --yes", "amelie");
  assert.deepEqual([again.code, again.stdout], [0, "there is nothing to remove\n"], again.stderr);
  assert.ok(!again.stderr.includes("/home/amelie"), again.stderr);
  // The program itself lies there from another step.
  const left =
    "find ~ -iname '*secllama*' ! -path ~/secllama; secret-tool search --all service secllama";
  assert.equal((await machine.sh(left, "amelie")).stdout, "");

  // What the system's service has is named with how it goes; once that is done nothing is.
  const named = (text: string) =>
    [...text.matchAll(/^still there: (\S+) {2}\(to take it away: (.+)\)$/gm)].map(([, path]) =>
      path!
    );
  const root = await machine.sh("secllama uninstall --yes");
  assert.deepEqual(named(root.stderr).sort(), [
    "/etc/secllama/secllama-key.cred",
    "/var/lib/secllama",
  ], root.stderr);
  await works(machine, `rm -r ${named(root.stderr).join(" ")}`);
  assert.deepEqual(named((await machine.sh("secllama uninstall --yes")).stderr), []);
}

Deno.test({
  name: "service: under a real systemd, as docs/install.md prints it",
  ignore: systemdIgnored(),
  async fn(t) {
    const booted = await bootSystemd().catch((error: Error) => error);
    if (booted instanceof Error) {
      console.log(`skipped: no systemd comes up in namespaces here: ${booted.message}`);
      return;
    }
    await using machine = booted;
    await machine.login("amelie");

    await t.step("before: nothing is installed, and the exit code says so", async () => {
      const { code, stdout } = await machine.sh("secllama service status");
      assert.deepEqual([code, stdout], [5, "no service is installed\n"]);
    });

    await t.step("of the system: installed, and it serves when the command returns", async () => {
      const out = await works(machine, block("system"));
      assert.match(out, /made a key, encrypted for this machine/);
      assert.match(out, /secllama\.service +active \(running\), starts by itself[^]*serves http/);
      const { stdout } = await machine.sh("stat -c '%a %U' /etc/secllama /etc/secllama/*");
      assert.equal(stdout, "700 root\n600 root\n");
      const key = await works(
        machine,
        "systemd-creds decrypt --name=secllama-key /etc/secllama/secllama-key.cred -",
      );
      assert.match(key, /^sl1:.{44}$/);
      // The journal reads what was said a moment later.
      await until(
        async () =>
          (await works(machine, "journalctl --unit secllama --output cat"))
            .includes("isolation strict"),
        "the journal has the banner",
      );
    });

    await t.step("a user is paired, and chats", async () => {
      const list = await works(machine, `cd /home/amelie && ${block("pair")}`);
      assert.match(list, /^demo/m);
      await works(machine, "chown amelie: /home/amelie/amelie.pairing");
      // Nobody is at the key store of a machine without a desktop: gnome-keyring, unlocked by a password.
      await works(
        machine,
        "printf correct-horse | gnome-keyring-daemon --unlock --components=secrets --daemonize",
        "amelie",
      );
      // As printed, up to the remark; it goes on by itself afterwards.
      assert.match(
        await works(machine, block("amelie"), "amelie"),
        /^paired with machine|^$/,
      );
      await works(machine, "secllama service install --proxy", "amelie");
      assert.match(await works(machine, "secllama run demo hello", "amelie"), /SecLlama/);
      await works(machine, "secllama service uninstall", "amelie");
    });

    await t.step("killed, it is started again; told to end, it is not", async () => {
      const before = (await status(machine)).units[0]!;
      await works(machine, `kill -9 ${before.pid}`);
      await until(async () => {
        const now = (await status(machine)).units[0]!;
        return now.active && now.pid !== before.pid;
      }, "it serves again");
      assert.equal((await status(machine)).units[0]!.restarts, 1);
      await works(machine, "systemctl stop secllama.service secllama-listen.socket");
      const { code, stdout } = await machine.sh("secllama service status");
      assert.equal(code, 5);
      assert.match(stdout, /inactive \(dead\)/);
    });

    await t.step("settings in a drop-in stay over an upgrade", async () => {
      await works(machine, block("settings"));
      await works(machine, "secllama service install");
      const environment = await works(machine, "systemctl show -p Environment secllama.service");
      assert.match(environment, /SECLLAMA_LOG_LEVEL=warn/);
    });

    await t.step(
      "what is done as the service is under its settings, and in its record",
      async () => {
        const folder = "/etc/systemd/system/secllama.service.d";
        await works(
          machine,
          `printf '[Service]\\nEnvironment=SECLLAMA_AUDIT=on\\nEnvironmentFile=-/not/there\\nEnvironmentFile=%s\\n' ` +
            `/etc/firm.env > ${folder}/firm.conf
        printf 'SECLLAMA_MODEL_POLICY=/etc/firm policy.json\\n' > /etc/firm.env
        printf '{"version":1,"allow":[]}' > '/etc/firm policy.json'
        systemctl daemon-reload
        secllama service run role set staff --requests-minute 60
        secllama service run token create reports --role staff`,
        );
        const record = await works(machine, "secllama service run audit list");
        assert.match(record, /role-set +role=staff[^]*token-created +client=reports/);
        const { code, stderr } = await machine.sh("secllama service run cp demo other");
        assert.equal(code, 9, stderr);
        assert.match(stderr, /is not approved/);
        await works(
          machine,
          `printf 'a cow on the moon' > /root/words
        secllama service run backup /var/lib/secllama/host.backup --backup-passphrase-fd 0 < /root/words
        secllama service run audit export - > /root/audit.jsonl
        secllama service run audit key > /root/audit.pem
        secllama audit verify /root/audit.jsonl --key /root/audit.pem`,
        );
        // Its words are as they were given, and what it makes is its user's alone.
        await works(
          machine,
          "secllama service run audit export '/var/lib/secllama/${SECLLAMA_AUDIT}.jsonl'",
        );
        const modes = await works(
          machine,
          "cd /var/lib/private && stat -c '%a %n' secllama secllama/*.jsonl",
        );
        assert.equal(modes, "700 secllama\n600 secllama/${SECLLAMA_AUDIT}.jsonl\n");
        await works(machine, `rm ${folder}/firm.conf && systemctl daemon-reload`);
      },
    );

    await t.step(
      "what its unit takes away, or passes on, such a command has not, or has",
      async () => {
        const conf = "/etc/systemd/system/secllama.service.d/words.conf";
        const seen = async () =>
          (await machine.sh("secllama service run --program /usr/bin/printenv A B C D container"))
            .stdout;
        const unit = (...more: string[]) => {
          const lines = ["[Service]", 'Environment="A=1 \\"\\\\ 1" B=2 C=3 D=4', ...more];
          return works(
            machine,
            `cat > ${conf} <<'END'\n${lines.join("\n")}\nEND\nsystemctl daemon-reload`,
          );
        };
        await unit();
        assert.equal(await seen(), '1 "\\ 1\n2\n3\n4\n', "control");
        await unit(
          'UnsetEnvironment="A=1 \\"\\\\ 1" B=3',
          "UnsetEnvironment=C",
          "PassEnvironment=container C", // systemd has it of its own: it was started so
        );
        assert.equal(await seen(), "2\n4\nsecllama-test\n");
        await works(machine, `rm ${conf} && systemctl daemon-reload`);
      },
    );

    await t.step(
      "a setting that is wrong: the command fails, says where to look, and systemd does not try for ever",
      async () => {
        const conf = "/etc/systemd/system/secllama.service.d/settings.conf";
        await works(machine, `sed -i s/LOG_LEVEL=warn/LOG_LEVEL=loud/ ${conf}`);
        const { code, stderr } = await machine.sh("secllama service install");
        assert.equal(code, 5, stderr);
        assert.match(
          stderr,
          /^error: systemctl restart .* failed: .*\nhint: to see why, run: journalctl --unit secllama --lines 20\n$/m,
        );
        const failed = await status(machine);
        assert.equal(failed.runs, false, `whatever its socket does: ${JSON.stringify(failed)}`);
        const { state, restarts } = failed.units[0]!;
        assert.deepEqual([state, restarts], ["failed (exit-code)", 0]);
        await until(
          async () =>
            /SECLLAMA_LOG_LEVEL|log-level/i.test(
              await works(machine, "journalctl --unit secllama --lines 20 --output cat"),
            ),
          "the journal says which setting",
        );
        await works(machine, `rm ${conf} && secllama service install`);
      },
    );

    await t.step("a unit that somebody else wrote is neither overwritten nor removed", async () => {
      const unit = "/etc/systemd/system/secllama.service";
      await works(machine, `cp ${unit} /root/kept && sed -i 1d ${unit}`);
      for (
        const [command, said] of [["install", /did not write it\nhint: /], [
          "uninstall",
          /^left alone, somebody else wrote it/m,
        ]] as const
      ) {
        const { code, stdout, stderr } = await machine.sh(`secllama service ${command}`);
        assert.equal(code, command === "install" ? 9 : 0);
        assert.match(stdout + stderr, said);
        assert.equal((await machine.sh(`test -e ${unit}`)).code, 0);
      }
      await works(machine, `cp /root/kept ${unit} && secllama service install`);
    });

    await t.step(
      "a program that others can change, or that lies in a home, is no service's",
      async () => {
        await works(
          machine,
          "cp /usr/local/bin/secllama /home/amelie/ && chown amelie /home/amelie/secllama",
        );
        await works(machine, "mkdir -m 777 /opt/open && cp /usr/local/bin/secllama /opt/open/");
        for (
          const [path, why] of [
            ["/home/amelie/secllama", /sees no home folder/],
            ["/opt/open/secllama", /can change \/opt\/open/],
            ["/nowhere", /there is no such file/],
            ["relative", /must be absolute/],
          ] as const
        ) {
          const { code, stderr } = await machine.sh(`secllama service install --program ${path}`);
          assert.ok(code === 9 || code === 2, stderr);
          assert.match(stderr, why);
          assert.match(stderr, /hint: |no such file/);
        }
      },
    );

    await t.step(
      "taken away: the key stays, and installing again finds it; without it the clients' list is not passed over",
      async () => {
        const out = await machine.sh(block("uninstall"));
        assert.equal(out.code, 0);
        assert.match(out.stderr, /^kept: the key \/etc\/secllama\/secllama-key.cred/m);
        assert.equal(
          (await machine.sh("ls /etc/systemd/system | grep secllama-\\|secllama.service$")).stdout,
          "",
        );
        assert.doesNotMatch(
          await works(machine, "secllama service install --no-start"),
          /made a key/,
        );
        await works(
          machine,
          "secllama service uninstall && mv /etc/secllama/secllama-key.cred /root/",
        );
        const { code, stderr } = await machine.sh("secllama service install");
        assert.equal(code, 9);
        assert.match(
          stderr,
          /clients\.json is under a key that is not here\nhint: put .*secllama-key\.cred back/,
        );
        await works(machine, "mv /root/secllama-key.cred /etc/secllama/");
      },
    );

    await t.step("of a user: gateway and proxy, the key in the key store", async () => {
      const out = await works(machine, block("user"), "amelie");
      assert.match(out, /secllama\.service +active \(running\), starts by itself/);
      assert.match(await works(machine, "secllama run demo hello", "amelie"), /SecLlama/);
      const { code, stderr } = await machine.sh("secllama service install --system", "amelie");
      assert.equal(code, 9);
      assert.match(stderr, /only root may install[^]*hint: .*--user/);
      await takenAway(machine);
    });

    await t.step(
      "where no systemd runs, or no session of the user's, a hint says what to do",
      async () => {
        const none = await machine.sh(
          "unshare --mount sh -c 'umount -l /run/systemd/system 2>/dev/null; mount -t tmpfs none /run; secllama service install'",
        );
        assert.equal(none.code, 2);
        assert.match(none.stderr, /systemd does not run here\nhint: start secllama serve/);
        const su = await machine.sh(
          "XDG_RUNTIME_DIR=/nowhere secllama service install --user",
          "amelie",
        );
        assert.match(su.stderr, /no systemd of yours runs[^]*hint: .*enable-linger/);
      },
    );

    assert.deepEqual([...ran].sort(), [...BLOCKS.keys()].sort(), "every block of the page was run");
  },
});
