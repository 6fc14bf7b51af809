// A policy as single settings, so that two people's changes can be told apart, put on top of each other, and
// said in words.
// In: policies as docs/reference/policy.md has them. Out: Maps of key -> value. A key is the JSON of
// ["kill", KIND, NAME], ["kill", "all"], ["limit", TENANT or "", WHICH] or ["model"]; undefined is what the
// policy says without it.
export const KINDS = {
  servers: { one: "MCP server", title: "MCP servers", hint: "name in agent.toml" },
  tools: { one: "tool", title: "Tools", hint: "name, or server/name" },
  models: { one: "model", title: "Models", hint: "name of a model" },
  tenants: { one: "tenant", title: "Tenants", hint: "as key or token name it" },
};

export const LIMITS = {
  requests: { title: "Requests", example: "60/min", rate: true },
  concurrency: { title: "At once", example: "50", rate: false },
  tokens: { title: "Tokens", example: "2M/day", rate: true },
  spend_usd: { title: "Spend", example: "20 USD/day", rate: true },
};

export const keyOf = (...parts) => JSON.stringify(parts);

export function settings(policy) {
  const found = new Map();
  if (policy.kill?.all) found.set(keyOf("kill", "all"), true);
  for (const kind of Object.keys(KINDS))
    for (const name of policy.kill?.[kind] ?? []) found.set(keyOf("kill", kind, name), true);
  for (const [tenant, limits] of [["", policy.limits], ...Object.entries(policy.tenants ?? {})])
    for (const [which, value] of Object.entries(limits ?? {}))
      if (value !== null) found.set(keyOf("limit", tenant, which), value);
  if (policy.model) found.set(keyOf("model"), policy.model);
  return found;
}

export function difference(before, after) {
  const [old, now] = [settings(before), settings(after)];
  const keys = [...new Set([...old.keys(), ...now.keys()])];
  return new Map(
    keys
      .filter((key) => JSON.stringify(old.get(key)) !== JSON.stringify(now.get(key)))
      .map((key) => [key, now.get(key)]),
  );
}

// The policy with some settings changed. What this page does not know of stays as it is.
export function changed(policy, changes) {
  const made = structuredClone(policy);
  for (const [key, value] of changes) change(made, JSON.parse(key), value);
  return made;
}

function change(made, [what, first, name], value) {
  if (what === "model") made.model = value ?? null;
  else if (what === "kill") {
    made.kill ??= {};
    if (first === "all") made.kill.all = value ?? false;
    else
      made.kill[first] = [
        ...(made.kill[first] ?? []).filter((each) => each !== name),
        ...(value ? [name] : []),
      ];
  } else {
    const limits = first ? ((made.tenants ??= {})[first] ??= {}) : (made.limits ??= {});
    if (value === undefined) delete limits[name];
    else limits[name] = value;
    if (first && !Object.values(limits).some((each) => each !== null)) delete made.tenants[first];
  }
}

export function inWords(key, value, before) {
  const [what, first, name] = JSON.parse(key);
  if (what === "model")
    return value ? `use the model ${value}` : `use the configured model again, not ${before}`;
  if (first === "all") return value ? "stop everything" : "let turns begin again";
  if (what === "kill")
    return value ? `stop ${KINDS[first].one} ${name}` : `allow ${KINDS[first].one} ${name} again`;
  const whose = `${(LIMITS[name]?.title ?? name).toLowerCase()} of ${first ? `tenant ${first}` : "each tenant"}`;
  const was = before === undefined ? "" : `, which was ${written(name, before)}`;
  return value === undefined
    ? `no limit to ${whose}${was}`
    : `limit ${whose} to ${written(name, value)}${was}`;
}

const UNITS = { s: 1, min: 60, h: 3600, day: 86400 };
const TIMES = { "": 1, k: 1e3, M: 1e6, G: 1e9 };

export function written(which, value) {
  if (!LIMITS[which]?.rate || !Array.isArray(value)) return String(value);
  const [amount, seconds] = value;
  const unit = Object.entries(UNITS).find(([, size]) => size === seconds)?.[0] ?? `${seconds}s`;
  return `${which === "spend_usd" ? `${amount} USD` : scaled(amount)}/${unit}`;
}

function scaled(amount) {
  const [letter, size] = Object.entries(TIMES)
    .reverse()
    .find(([, each]) => amount >= each && amount % each === 0) ?? ["", 1];
  return `${amount / size}${letter}`;
}

// What a person wrote as a limit; undefined for nothing. Throws an Error that says what is expected.
export function read(which, text) {
  const { example, rate } = LIMITS[which];
  if (!text.trim()) return undefined;
  const found = /^(\d+(?:\.\d+)?)\s*([kMG]?)\s*(?:USD)?(?:\s*\/\s*(\d*)\s*(s|min|h|day))?$/.exec(
    text.trim().replace(/^\$/, ""),
  );
  const amount = found && Number(found[1]) * TIMES[found[2]];
  const whole = which === "spend_usd" || Number.isInteger(amount);
  if (!found || !amount || !whole || rate !== Boolean(found[4]))
    throw new Error(`“${text.trim()}” is no limit; for example ${example}`);
  return rate ? [amount, (Number(found[3]) || 1) * UNITS[found[4]]] : amount;
}
