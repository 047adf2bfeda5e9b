/** Rules of this house for `deno lint`, which loads them by deno.json. */

/** `x.fill(0)` with any other range, or nothing, in its place; `Array(n).fill(0)` holds no secret. */
function isBareWipe(call: Deno.lint.CallExpression): boolean {
  const { arguments: [value] } = call;
  // `a?.b()` is a chain around what `a.b()` is.
  const callee = call.callee.type === "ChainExpression" ? call.callee.expression : call.callee;
  if (callee.type !== "MemberExpression") return false;
  const { object, property } = callee;
  const name = property.type === "Identifier" && !callee.computed
    ? property.name
    : property.type === "Literal"
    ? property.value
    : undefined;
  if (name !== "fill" || value?.type !== "Literal" || Number(value.value) !== 0) return false;
  const makes = object.type === "CallExpression" || object.type === "NewExpression";
  return !(makes && object.callee.type === "Identifier" && object.callee.name === "Array");
}

/** Files of the product, where secrets live; not the one that says how they end. */
function holdsSecrets(path: string): boolean {
  const name = path.replaceAll("\\", "/");
  return /\/(src|runner)\//.test(name) && !name.endsWith("/src/secret.ts") &&
    !/(_test|\/testing[a-z0-9_]*|\/fake_[a-z0-9_]+)\.ts$/.test(name);
}

const plugin: Deno.lint.Plugin = {
  name: "house",
  rules: {
    "no-bare-wipe": {
      create(context) {
        if (!holdsSecrets(context.filename)) return {};
        return {
          CallExpression(node) {
            if (!isBareWipe(node)) return;
            context.report({
              node,
              message: "a secret is overwritten by hand",
              hint: "`using key = secret(…)`, or `wipe(key)`: see src/secret.ts",
            });
          },
        };
      },
    },
  },
};

export default plugin;
