// What a gate's verdict stands on: the evidence over time against its threshold, and metric by metric.
// In: a gate as `GET /v1/gates/CANARY` has it. Out: sections of a view; `verdict` and `scale` for others.

import { h } from "./dom.js";
import { mark } from "./marks.js";
import { evidencePlot } from "./plot.js";
import { table } from "./table.js";
import { evidence as amount, percent, points as inPoints, short, time, whole } from "./words.js";

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

// How far the evidence is on its way to the threshold, in logarithms.
export function scale(
  { evidence, threshold },
  words = `evidence ${amount(evidence)}; ${short(threshold)} is a fail`,
) {
  const way = Math.max(0, Math.min(1, Math.log(Math.max(1, evidence)) / Math.log(threshold)));
  return h(
    "div",
    { class: "share" },
    h(
      "span",
      { class: evidence >= threshold ? "track full" : "track" },
      h("i", { style: { "--share": String(way) } }),
    ),
    h("span", { class: "quiet" }, words),
  );
}

export function evidence(gate, context) {
  const { judgement, points = [] } = gate;
  return h(
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
  );
}

export function metrics({ judgement }, context) {
  return h(
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
