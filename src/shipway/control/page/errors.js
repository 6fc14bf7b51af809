// Errors over time, revision by revision: what `GET /v1/errors` says, as a plot and as a table.

import { h } from "./dom.js";
import { errorPlot } from "./plot.js";
import { table } from "./table.js";
import { count, percent, span, time, whole } from "./words.js";

// `revisions`: [{revision, name}] of those that are shown, the first of them in the accent.
export function errors({ every, revisions: all }, revisions, context) {
  const lines = revisions
    .map(({ revision, name }) => ({ name, points: pointsOf(all, revision) }))
    .filter(({ points }) => points.length);
  return h(
    "section",
    { key: "errors", "aria-labelledby": "errors" },
    h("h2", { id: "errors" }, "Errors over time"),
    h("p", { class: "quiet" }, `The share of turns that ended with an error, each point of ${span(every)}.`),
    lines.length
      ? [
          h("figure", {}, errorPlot({ lines, every, width: context.width, label: spoken(lines) })),
          h("details", {}, h("summary", {}, "The same as a table"), figures(lines, context)),
        ]
      : h("p", { class: "quiet" }, "No turn in that time."),
  );
}

function pointsOf(all, revision) {
  const points = all.find((each) => each.revision === revision)?.points ?? [];
  return points.map(([at, turns, failed]) => ({ at, turns, failed, rate: failed / turns }));
}

const sum = (points, key) => points.reduce((total, point) => total + point[key], 0);

function spoken(lines) {
  const each = lines.map(
    ({ name, points }) =>
      `${name} ${percent(sum(points, "failed") / sum(points, "turns"), 1)} of ${count(sum(points, "turns"), "turn")}`,
  );
  return `Errors over time. In all: ${each.join("; ")}. The figures are in the table below.`;
}

function figures(lines, { redraw }) {
  const rows = lines.flatMap(({ name, points }) => points.map((point) => ({ name, ...point })));
  return table({
    caption: "Errors over time",
    redraw,
    rows: rows.sort((one, other) => other.at - one.at),
    key: ({ name, at }) => `${name} ${at}`,
    columns: [
      { title: "From", cell: ({ at }) => time(at) },
      { title: "Revision", cell: ({ name }) => h("code", {}, name) },
      { title: "Turns", kind: "number", cell: ({ turns }) => whole(turns) },
      { title: "Errors", kind: "number", cell: ({ failed }) => whole(failed) },
      { title: "Share", kind: "number", cell: ({ rate }) => percent(rate, 1) },
    ],
  });
}
