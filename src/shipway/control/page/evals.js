// Evals: runs over time, and one run with the cases that it failed.

import { address } from "./bar.js";
import { h } from "./dom.js";
import { comparison, previousOf } from "./comparison.js";
import { empty, figures, heading, mark } from "./marks.js";
import { scorePlot } from "./plot.js";
import { get } from "./session.js";
import { table } from "./table.js";
import { count, dollars, latency, percent, short, span, time, whole } from "./words.js";

export const evals = { label: "Evals", load, show };

const MOST = 10; // runs with their cases
const kept = new Map(); // address -> run; one that was read never changes

async function load(place) {
  const { name, environment, item } = place;
  const runs = await get("/v1/evals", { name, environment, limit: 100 });
  if (item === undefined) return { runs };
  const run = await runOf(place, item);
  const previous = previousOf(run, runs);
  return { run, previous: previous && (await runOf(place, previous.id)) };
}

async function runOf(place, id) {
  const where = address(place, "evals", id);
  if (!kept.has(where)) {
    const { name, environment } = place;
    kept.set(where, await get(`/v1/evals/${encodeURIComponent(id)}`, { name, environment }));
    if (kept.size > MOST) kept.delete(kept.keys().next().value);
  }
  return kept.get(where);
}

function show(data, context) {
  return data.run ? detail(data, context) : list(data.runs, context);
}

const KINDS = { pass: "good", fail: "bad", inconclusive: "open" };

function list(runs, context) {
  if (!runs.length)
    return [
      heading("Evals"),
      empty(
        "No run has been sent here.",
        h("code", {}, "shipway eval --env ENV"),
        " puts the suite to the agent and sends what came of it; in CI, before a rollout, is the usual place.",
      ),
    ];
  return [
    heading(
      "Evals",
      h(
        "p",
        { class: "lead" },
        mark(KINDS[runs[0].verdict], `last run: ${runs[0].verdict}`),
        h("span", {}, passed(runs[0]), ", ", time(runs[0].finished)),
      ),
    ),
    ...bySource(runs).map(([source, own]) =>
      h(
        "section",
        { key: source, "aria-label": `Suite ${source}` },
        h("h2", {}, h("code", {}, source)),
        plot(own, context.width),
        table({
          caption: `Runs of ${source}`,
          columns: columns(
            context.place,
            own.some(({ against }) => against),
          ),
          rows: own,
          key: ({ id }) => id,
          redraw: context.redraw,
        }),
      ),
    ),
  ];
}

function bySource(runs) {
  const groups = new Map();
  for (const run of runs) groups.set(run.source, [...(groups.get(run.source) ?? []), run]);
  return [...groups];
}

function plot(runs, width) {
  const known = runs
    .filter(({ rate }) => rate !== null)
    .map((run) => ({ ...run, at: run.finished }))
    .reverse();
  if (known.length < 2) return null;
  return h(
    "figure",
    {},
    scorePlot({
      runs: known,
      width,
      label: `Share of cases that passed in ${count(known.length, "run")}, from ${percent(known[0].rate)} to ${percent(known.at(-1).rate)}. The figures are in the table below.`,
    }),
    h(
      "figcaption",
      { class: "quiet" },
      "Share of cases that passed, with its 95 % interval. A square is a fail, a ring inconclusive.",
    ),
  );
}

const passed = (run) => `${whole(run.passed)} of ${count(run.cases, "case")} passed`;
const interval = ({ interval: [low, high] }) => `${percent(low)} to ${percent(high)}`;
const revisions = (run) => run.revisions.map((name, index) => [index ? ", " : null, h("code", {}, name)]);

function columns(place, compared) {
  return [
    {
      title: "When",
      kind: "number",
      cell: (run) => h("a", { href: address(place, "evals", run.id) }, time(run.finished)),
    },
    { title: "Verdict", kind: "number", cell: (run) => mark(KINDS[run.verdict], run.verdict) },
    {
      title: "Passed",
      kind: "number",
      cell: (run) => [percent(run.rate), h("small", { class: "under" }, interval(run))],
    },
    { title: "Failed", kind: "number", cell: (run) => whole(run.failed) },
    { title: "Missing", kind: "number", cell: (run) => whole(run.missing) },
    { title: "Revision", kind: "number", cell: revisions },
    ...(compared
      ? [
          {
            title: "Against",
            kind: "prose",
            cell: ({ against }) =>
              against
                ? [mark(KINDS[against.verdict], against.verdict), " against ", h("code", {}, against.before)]
                : "–",
          },
        ]
      : []),
    { title: "Cost", kind: "number", cell: (run) => dollars(run.cost) },
  ];
}

function detail({ run, previous }, context) {
  const failed = run.results.filter(({ status }) => status === "failed");
  const missing = run.results.filter(({ status }) => status === "missing");
  return [
    h("p", { class: "quiet" }, h("a", { href: address(context.place, "evals") }, "All runs")),
    heading(
      h("span", {}, "Run of ", time(run.finished)),
      h(
        "p",
        { class: "lead" },
        mark(KINDS[run.verdict], run.verdict),
        h("span", {}, passed(run), ` (${percent(run.required)} needed)`),
      ),
    ),
    figures([
      ["Passed", percent(run.rate), interval(run)],
      ["Score", run.score === null ? "–" : short(run.score), null],
      ["Missing", whole(run.missing), "count neither way"],
      ["Cost", dollars(run.cost), null],
      ["Took", span(run.finished - run.started), null],
      ["Revision", revisions(run), run.source],
    ]),
    run.remarks.map((words) => h("p", { class: "notice", key: words }, words)),
    run.judge && h("p", { class: "quiet" }, judge(run.judge)),
    comparison(run, previous, context),
    cases("Failed cases", failed, "Every case whose answer is known has passed."),
    missing.length > 0 && cases("Missing: no answer, or nobody could judge it", missing),
    h(
      "section",
      { key: "all" },
      h(
        "details",
        {},
        h("summary", {}, `All ${count(run.results.length, "case")}`),
        table({
          caption: `Cases of run ${run.id}`,
          columns: CASES,
          rows: run.results,
          key: ({ id }) => id,
          redraw: context.redraw,
        }),
      ),
    ),
  ];
}

function judge({ model, sensitivity, specificity, good, bad }) {
  if (sensitivity === null || specificity === null)
    return `The judge ${model} was never calibrated: without labelled answers, good ones and bad ones, nobody knows what its scores are worth.`;
  return `The judge ${model} finds ${percent(sensitivity)} of ${whole(good)} good and ${percent(specificity)} of ${whole(bad)} bad labelled answers.`;
}

function cases(title, results, otherwise) {
  return h(
    "section",
    { key: title, "aria-label": title },
    h("h2", {}, title),
    results.length ? results.slice(0, 200).map(one) : h("p", { class: "quiet" }, otherwise),
    results.length > 200 &&
      h("p", { class: "quiet" }, `The first 200 of ${whole(results.length)}; all are in the list below.`),
  );
}

function one(result) {
  const reasons = result.marks
    .filter(({ holds }) => holds !== true)
    .map(({ by, reason }) => (reason ? `${by}: ${reason}` : by));
  return h(
    "details",
    { key: result.id, class: "case" },
    h("summary", {}, h("code", {}, result.id), " ", h("span", { class: "quiet" }, reasons.join("; "))),
    h(
      "ul",
      {},
      result.marks.map((each, index) =>
        h(
          "li",
          { key: index },
          mark(each.holds === true ? "good" : each.holds === false ? "bad" : "off", each.by),
          " ",
          each.reason,
        ),
      ),
    ),
    h("blockquote", {}, result.text || "no text"),
    h(
      "p",
      { class: "quiet" },
      `${latency(result.latency_s)}, ${dollars(result.cost)}`,
      result.tools.length ? `, called ${result.tools.join(", ")}` : null,
      result.file ? `, ${result.file}:${result.line}` : null,
    ),
  );
}

const STATUS = { passed: "good", failed: "bad", missing: "off" };
const CASES = [
  { title: "Case", cell: ({ id }) => h("code", {}, id) },
  { title: "Result", kind: "number", cell: ({ status }) => mark(STATUS[status], status) },
  { title: "Score", kind: "number", cell: ({ score }) => short(score) },
  { title: "Latency", kind: "number", cell: ({ latency_s: seconds }) => latency(seconds) },
  { title: "Cost", kind: "number", cell: ({ cost }) => dollars(cost) },
];
