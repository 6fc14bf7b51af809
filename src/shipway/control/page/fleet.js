// Fleet: who runs, what they answer with, and why somebody is not ready.

import { address } from "./bar.js";
import { h } from "./dom.js";
import { errors } from "./errors.js";
import { verdict } from "./evidence.js";
import { empty, figures, heading, mark } from "./marks.js";
import { get } from "./session.js";
import { table } from "./table.js";
import { versionsOf } from "./versions.js";
import { count, dollars, latency, now, percent, span, time, whole } from "./words.js";

const MOST_LINES = 4; // of a plot that can be read
const NOBODYS = '"0"'; // the ETag where nobody has put a policy

export const fleet = { label: "Fleet", load, show };

async function load(place) {
  const { name, environment } = place;
  const [seen, versions, judged, failed, known] = await Promise.all([
    get("/v1/fleet", { name, environment }),
    versionsOf(place),
    get("/v1/gates", { name, environment }),
    get("/v1/errors", { name, environment }),
    get("/v1/rollout", { name, environment }),
  ]);
  return { revisions: seen.revisions, versions, judged, failed, rollout: known.rollout };
}

// Worst first: not ready, away, ready.
function rank(replica) {
  if (replica.away) return 1;
  return replica.ready ? 2 : 0;
}

function policyOf(replica, versions) {
  const version = versions.find(({ etag }) => etag === replica.policy);
  if (version) return `version ${version.version}`;
  if (replica.policy === NOBODYS) return "none is set";
  return replica.policy ? "an older version" : "none from control";
}

// What keeps a replica from being ready: "mcp git: Connection refused".
function causes({ checks }) {
  const down = Object.entries(checks ?? {}).filter(([, check]) => !["up", "no"].includes(check.state));
  return down.map(([name, { state, since, error }]) => ({
    name: name.replace(":", " "),
    since,
    what: error ?? state,
  }));
}

function show({ revisions, versions, judged, failed, rollout }, context) {
  const replicas = revisions.flatMap((revision) => revision.replicas);
  if (!replicas.length && !revisions.length) return [heading("Fleet"), nothing()];
  const present = replicas.filter((replica) => !replica.away);
  const total = revisions.reduce((sum, { conversations }) => sum + conversations, 0);
  return [
    heading(
      "Fleet",
      h("p", { class: "lead" }, inWords(replicas, present, versions), goesOn(rollout, context.place)),
    ),
    problems(replicas),
    h(
      "section",
      { "aria-label": "Revisions" },
      revisions.map((each) =>
        revision(
          each,
          { total, versions, gate: judged.find(({ canary }) => canary === each.revision) },
          context,
        ),
      ),
    ),
    failed.revisions.length > 0 &&
      errors(
        failed,
        revisions
          .filter(({ revision: name }) => failed.revisions.some((each) => each.revision === name))
          .slice(0, MOST_LINES)
          .map(({ revision: name }) => ({ revision: name, name })),
        context,
      ),
  ];
}

function inWords(replicas, present, versions) {
  const ready = present.filter((replica) => replica.ready).length;
  const away = replicas.length - present.length;
  const kind = !present.length || !ready ? "bad" : ready < present.length || away ? "warn" : "good";
  const behind = versions.length ? present.filter(({ policy }) => policy !== versions[0].etag).length : 0;
  return [
    mark(
      kind,
      ready === present.length
        ? `${count(ready, "replica")} ready`
        : `${ready} of ${count(present.length, "replica")} ready`,
    ),
    away ? mark("off", `${away} away`) : null,
    versions.length
      ? behind
        ? mark("warn", `policy ${versions[0].version} not yet on ${behind}`)
        : mark("good", `policy ${versions[0].version} everywhere`)
      : null,
  ];
}

// A rollout that goes on, in a few words, and the way to it.
function goesOn(rollout, place) {
  if (!rollout || ["promoted", "aborted"].includes(rollout.phase)) return null;
  const words = `rollout ${rollout.phase}, ${rollout.percent}\u00a0% of new conversations`;
  return h(
    "a",
    { class: "bare", href: address(place, "rollout") },
    mark(rollout.phase === "paused" ? "warn" : "next", words),
  );
}

// One line for each cause, however many replicas it has.
function problems(replicas) {
  const groups = new Map();
  for (const replica of replicas) {
    for (const { name, since, what } of replica.away ? [] : causes(replica)) {
      const id = `${replica.ready} ${name} ${what}`;
      const group = groups.get(id) ?? { id, ready: replica.ready, name, what, since, replicas: 0 };
      groups.set(id, { ...group, since: Math.min(group.since, since), replicas: group.replicas + 1 });
    }
  }
  const found = [...groups.values()].sort(
    (one, other) => one.ready - other.ready || other.replicas - one.replicas,
  );
  return (
    found.length > 0 &&
    h(
      "section",
      { class: "problems", "aria-label": "Problems" },
      h(
        "ul",
        {},
        found.map((group) =>
          h(
            "li",
            { key: group.id },
            mark(group.ready ? "warn" : "bad", group.ready ? "degraded" : "not ready"),
            " ",
            h("b", {}, group.name),
            ", ",
            group.what,
            ", since ",
            time(group.since),
            h("span", { class: "quiet" }, ` (${count(group.replicas, "replica")})`),
          ),
        ),
      ),
    )
  );
}

function revision(each, { total, versions, gate }, { place, redraw }) {
  const share = total ? each.conversations / total : null;
  const turns = each.turns || null;
  const sorted = [...each.replicas].sort(
    (one, other) => rank(one) - rank(other) || one.replica.localeCompare(other.replica),
  );
  return h(
    "article",
    { key: each.revision, class: "revision" },
    h(
      "header",
      {},
      h("h2", {}, h("code", {}, each.revision)),
      h("p", { class: "quiet" }, "first seen ", time(each.first_seen), source(each.release)),
      gate &&
        h(
          "p",
          {},
          h("a", { class: "bare", href: address(place, "gates", gate.canary) }, verdict(gate.judgement)),
        ),
    ),
    h(
      "div",
      { class: "share", title: "share of conversations" },
      h("span", { class: "track" }, h("i", { style: { "--share": String(share ?? 0) } })),
      h("span", {}, h("b", {}, percent(share)), " of conversations"),
    ),
    figures([
      ["Conversations", whole(each.conversations), `${whole(each.turns)} turns`],
      [
        "Errors",
        percent(turns && each.errors / turns),
        each.errors
          ? h("a", { href: address(place, "conversations", each.revision) }, count(each.errors, "turn"))
          : "no turn",
      ],
      ...latencies(each.latency_s),
      [
        "Cost",
        dollars(each.cost),
        turns && each.cost !== null ? `${dollars((each.cost / turns) * 1000)} per 1,000 turns` : null,
      ],
    ]),
    sorted.length
      ? table({
          caption: `Replicas of ${each.revision}`,
          columns: columns(versions),
          rows: sorted,
          key: ({ replica }) => replica,
          redraw,
          kind: "replicas",
        })
      : h("p", { class: "quiet" }, "No replica of it runs."),
    contents(each.release),
  );
}

function latencies(said) {
  const pairs = typeof said === "object" && said !== null ? Object.entries(said) : [["", said]];
  return pairs.map(([which, seconds]) => [`Latency ${which}`.trim(), latency(seconds), null]);
}

function source(release) {
  const from = release?.source?.revision;
  return from
    ? [", from ", h("code", {}, from.slice(0, 12)), release.source.dirty ? " with changes" : null]
    : null;
}

function contents(release) {
  if (!release) return null;
  const rows = [
    ["Release", release.id],
    ["shipway", release.shipway],
    ["Prompts", release.prompts],
    ["Tools", release.tools],
    ...Object.entries(release.images ?? {}).map(([role, reference]) => [`Image ${role}`, reference]),
  ];
  return h(
    "details",
    { key: "made of" },
    h("summary", {}, "What it is made of"),
    h(
      "dl",
      { class: "contents" },
      rows
        .filter(([, value]) => value)
        .map(([name, value]) =>
          h("div", { key: name }, h("dt", {}, name), h("dd", {}, h("code", {}, value))),
        ),
    ),
  );
}

function columns(versions) {
  return [
    { title: "Replica", cell: ({ replica }) => h("code", {}, replica) },
    { title: "Readiness", kind: "prose", cell: readiness },
    { title: "Policy", cell: (replica) => policyOf(replica, versions) },
    {
      title: "Running for",
      kind: "number",
      cell: ({ started }) =>
        h("span", { title: new Date(started * 1000).toISOString() }, span(now() - started)),
    },
  ];
}

function readiness(replica) {
  if (replica.away) return [mark("off", "away"), " not heard of since ", time(replica.seen)];
  const found = causes(replica);
  if (replica.ready && !found.length) return mark("good", "ready");
  return [
    mark(replica.ready ? "warn" : "bad", replica.ready ? "degraded" : "not ready"),
    found.length ? ": " : null,
    found.map(({ name, since, what }, index) => [
      index ? "; " : null,
      `${name}, ${what}, since `,
      time(since),
    ]),
  ];
}

function nothing() {
  return empty(
    "Nobody of this deployment has reported.",
    "Start it with ",
    h("code", {}, "SHIPWAY_CONTROL_URL"),
    " and a token of role report; each replica says every ten seconds how it is.",
  );
}
