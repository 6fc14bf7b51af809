// Gates: is the new revision worse? The verdict in words, then the evidence that it stands on.

import { address } from "./bar.js";
import { h } from "./dom.js";
import { empty, heading, mark } from "./marks.js";
import { evidencePlot } from "./plot.js";
import { get } from "./session.js";
import { table } from "./table.js";
import { evidence as amount, percent, points as inPoints, short, time, whole } from "./words.js";

export const gates = { label: "Gates", load, show };

const ALARM = 1000; // evidence from which the split of conversations is known to be wrong

async function load({ name, environment, item }) {
  if (item !== undefined)
    return { gate: await get(`/v1/gates/${encodeURIComponent(item)}`, { name, environment }) };
  return { gates: await get("/v1/gates", { name, environment }) };
}

function show(data, context) {
  return data.gate ? detail(data.gate, context) : list(data.gates, context);
}

const FINDINGS = {
  harm: ["bad", "Fail: worse"],
  fine: ["good", "Pass: no worse"],
  "no-harm": ["open", "Inconclusive: no evidence of harm so far"],
  "too-little": ["open", "Inconclusive: too little is known"],
  incident: ["warn", "Inconclusive: both revisions degrade"],
  ratio: ["warn", "Inconclusive: the split is wrong"],
};

export function verdict({ verdict: said, why }) {
  const [kind, words] = FINDINGS[why] ?? [{ pass: "good", fail: "bad" }[said] ?? "open", said];
  return mark(kind, words);
}

function list(all, { place }) {
  if (!all.length)
    return [
      heading("Gates"),
      empty(
        "No revision is being judged.",
        "A gate begins with a rollout, or by ",
        h("code", {}, "PUT /v1/gates/REVISION"),
        " with the stable revision, its share and the metrics. It then judges every conversation as it closes.",
      ),
    ];
  return [
    heading("Gates"),
    all.map((gate) =>
      h(
        "article",
        { key: gate.canary, class: "gate" },
        h(
          "header",
          {},
          h(
            "h2",
            {},
            h("a", { href: address(place, "gates", gate.canary) }, h("code", {}, gate.canary)),
            " against ",
            h("code", {}, gate.stable),
          ),
          verdict(gate.judgement),
          over(gate),
        ),
        h("p", {}, gate.judgement.words),
        scale(gate.judgement),
      ),
    ),
  ];
}

function over({ ended }) {
  return ended !== null && ended !== undefined && h("span", { class: "quiet" }, "ended ", time(ended));
}

// How far the evidence is on its way to the threshold, in logarithms.
function scale({ evidence, threshold }) {
  const way = Math.max(0, Math.min(1, Math.log(Math.max(1, evidence)) / Math.log(threshold)));
  return h(
    "div",
    { class: "share" },
    h(
      "span",
      { class: evidence >= threshold ? "track full" : "track" },
      h("i", { style: { "--share": String(way) } }),
    ),
    h("span", { class: "quiet" }, `evidence ${amount(evidence)}; ${short(threshold)} is a fail`),
  );
}

function detail(gate, context) {
  const { judgement, points = [] } = gate;
  return [
    h("p", { class: "quiet" }, h("a", { href: address(context.place, "gates") }, "All gates")),
    heading(h("span", {}, h("code", {}, gate.canary), " against ", h("code", {}, gate.stable)), over(gate)),
    h(
      "section",
      { class: "verdict", "aria-label": "Verdict" },
      verdict(judgement),
      h("p", {}, judgement.words),
    ),
    // A rollout's steps and buttons come here, under the verdict that they follow.
    alarms(gate),
    forecast(gate),
    h(
      "section",
      { "aria-labelledby": "evidence" },
      h("h2", { id: "evidence" }, "Evidence that it is worse"),
      h(
        "p",
        { class: "quiet" },
        `An e-value: 1 says nothing, ${short(judgement.threshold)} (1 / alpha) is a fail. Of revisions that are no worse, ${percent(judgement.alpha)} ever get there, however often one looks.`,
      ),
      points.length
        ? h(
            "figure",
            {},
            evidencePlot({
              points,
              threshold: judgement.threshold,
              width: context.width,
              label: spoken(gate),
            }),
          )
        : h(
            "p",
            { class: "quiet" },
            "Nothing yet: the first closed conversation of the canary begins the line.",
          ),
      points.length > 0 && h("details", {}, h("summary", {}, "The same as a table"), overTime(gate, context)),
    ),
    h(
      "section",
      { "aria-labelledby": "metrics" },
      h("h2", { id: "metrics" }, "By metric"),
      h(
        "p",
        { class: "quiet" },
        `${whole(judgement.canary)} conversations of the canary, ${whole(judgement.stable)} of stable. Scores are from 0 to 100 %, and more is better.`,
      ),
      table({
        caption: "Metrics",
        columns: metricColumns(judgement.threshold),
        rows: judgement.metrics,
        key: ({ metric }) => metric,
        redraw: context.redraw,
      }),
    ),
    changes(gate),
  ];
}

// What the verdict's own words do not say already.
function alarms({ judgement, share }) {
  const found = [
    judgement.ratio >= ALARM &&
      judgement.why !== "ratio" && [
        "The split is wrong",
        `${whole(judgement.canary)} of ${whole(judgement.canary + judgement.stable)} conversations went to the canary, where ${percent(share)} was asked for. Find out why before you trust any comparison.`,
      ],
    judgement.why !== "incident" &&
      judgement.metrics.some(({ degraded }) => degraded) && [
        "Both revisions degrade",
        `By ${judgement.metrics
          .filter(({ degraded }) => degraded)
          .map(({ metric }) => metric)
          .join(
            " and ",
          )}, both are worse than stable was at first: something that they share. Neither going on nor going back mends it.`,
      ],
  ].filter(Boolean);
  return (
    found.length > 0 &&
    h(
      "section",
      { "aria-label": "Alarms" },
      found.map(([title, words]) =>
        h("p", { class: "notice warn-paper", key: title }, mark("warn", title), " ", words),
      ),
    )
  );
}

function forecast({ forecast: said }) {
  const words = typeof said === "string" ? said : said?.words;
  return (
    words &&
    h(
      "section",
      { "aria-labelledby": "forecast" },
      h("h2", { id: "forecast" }, "Forecast"),
      h("p", {}, words),
    )
  );
}

const HAPPENED = { begin: "begun", share: "share set", end: "ended" };

function changes({ changes: all = [] }) {
  return (
    all.length > 0 &&
    h(
      "section",
      { "aria-labelledby": "changes" },
      h("h2", { id: "changes" }, "What was done to it"),
      h(
        "ul",
        {},
        all.map(({ kind, document, by, at }) =>
          h(
            "li",
            { key: `${kind} ${at}` },
            time(at),
            " ",
            HAPPENED[kind] ?? kind,
            " by ",
            by,
            typeof document === "number" ? `, ${percent(document)} of new conversations` : null,
          ),
        ),
      ),
    )
  );
}

function spoken({ canary, judgement, points }) {
  const highest = Math.max(...points.map(({ evidence }) => evidence));
  return `Evidence that ${canary} is worse, over time: now ${amount(judgement.evidence)}, at most ${amount(highest)}, where ${short(judgement.threshold)} is a fail. The figures are in the table below.`;
}

function overTime({ points, canary }, { redraw }) {
  const names = Object.keys(points.at(-1).metrics);
  return table({
    caption: `Evidence over time, ${canary}`,
    redraw,
    rows: [...points].reverse(),
    key: ({ at, canary: seen }) => `${at} ${seen}`,
    columns: [
      { title: "When", cell: ({ at }) => time(at) },
      { title: "Conversations of the canary", kind: "number", cell: ({ canary: seen }) => whole(seen) },
      { title: "Together", kind: "number", cell: ({ evidence }) => amount(evidence) },
      ...names.map((name) => ({ title: name, kind: "number", cell: ({ metrics }) => amount(metrics[name]) })),
    ],
  });
}

const arm = ({ mean, conversations, missing }) => [
  percent(mean, 1),
  h(
    "small",
    { class: "under" },
    `${whole(conversations)} conversations`,
    missing ? `, ${whole(missing)} without it` : null,
  ),
];

function finding({ stable, canary, harm, fine, degraded, words }, threshold) {
  if (degraded) return mark("warn", "both degrade");
  if (!stable.conversations || !canary.conversations)
    return [mark("off", "no data"), h("small", { class: "under" }, words)];
  if (harm >= threshold) return mark("bad", "worse beyond chance");
  return fine >= threshold ? mark("good", "certainly not worse") : mark("open", "open");
}

const metricColumns = (threshold) => [
  {
    title: "Metric",
    cell: ({ metric, limit }) => [
      h("b", {}, metric),
      limit
        ? h(
            "small",
            { class: "under" },
            metric === "cost" ? `of at most $${short(limit)}` : `within ${short(limit)} s`,
          )
        : null,
    ],
  },
  { title: "Canary", kind: "number", cell: ({ canary }) => arm(canary) },
  { title: "Stable", kind: "number", cell: ({ stable }) => arm(stable) },
  { title: "May lose", kind: "number", cell: ({ margin }) => inPoints(margin) },
  { title: "Evidence: worse", kind: "number", cell: ({ harm }) => amount(harm) },
  { title: "Evidence: not worse", kind: "number", cell: ({ fine }) => amount(fine) },
  { title: "Finding", kind: "prose", cell: (each) => finding(each, threshold) },
];
