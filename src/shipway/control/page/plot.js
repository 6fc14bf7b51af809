// Plots, made by hand as SVG: evidence against its threshold, and scores with their intervals. Pure.
// In: points and a width in CSS pixels. Out: a description. Each has its figures in a table beside it, so to a
// screen reader it is one picture.

import { h } from "./dom.js";
import { OTHER_DAY, SAME_DAY, now, percent, short } from "./words.js";

const LEFT = 46;
const TOP = 12;
const BOTTOM = 26;
const [LEAST, MOST] = [1e-3, 1e9]; // evidence beyond says no more
const STEPS = [
  60,
  300,
  900,
  1800,
  3600,
  3 * 3600,
  6 * 3600,
  12 * 3600,
  86400,
  2 * 86400,
  7 * 86400,
  30 * 86400,
  90 * 86400,
  365 * 86400,
];

// points: [{at, evidence, metrics: {name: evidence}}], oldest first.
export function evidencePlot({ points, threshold, width, label }) {
  const right = width < 500 ? 66 : 92;
  const height = width < 500 ? 240 : 300;
  const names = Object.keys(points.at(-1).metrics);
  const values = points.flatMap((point) => [point.evidence, ...Object.values(point.metrics)]);
  const low = Math.floor(Math.log10(Math.max(LEAST, Math.min(0.1, ...values))));
  const high = Math.ceil(Math.log10(Math.min(MOST, Math.max(threshold * 3, ...values))));
  const x = across(
    points.map(({ at }) => at),
    width - right,
  );
  const y = (value) =>
    TOP +
    ((high - Math.log10(Math.min(10 ** high, Math.max(10 ** low, value)))) / (high - low)) *
      (height - TOP - BOTTOM);
  const tens = Array.from({ length: high - low + 1 }, (_, index) => low + index).filter((power) =>
    high - low <= 6 ? true : power % Math.ceil((high - low) / 6) === 0,
  );
  const lines = [
    ...names.map((name) => ({ name, of: (point) => point.metrics[name] ?? 1 })),
    { name: "together", of: (point) => point.evidence },
  ];
  const ends = apart(
    lines.map(({ name, of }) => ({ name, y: y(of(points.at(-1))) })),
    height - BOTTOM,
  );
  return picture(width, height, label, [
    tens.map((power) =>
      grid(width - right, y(10 ** power), power < 0 ? String(10 ** power) : TEN.format(10 ** power)),
    ),
    days(x, points, width - right, height),
    h("line", {
      key: "threshold",
      class: "threshold",
      x1: LEFT,
      x2: width - right,
      y1: y(threshold),
      y2: y(threshold),
    }),
    h(
      "text",
      { key: "said", class: "threshold-said", x: LEFT + 6, y: y(threshold) - 6 },
      `${short(threshold)}: fail`,
    ),
    lines.map(({ name, of }, index) =>
      h("path", {
        key: name,
        class: `line line-${name === "together" ? "all" : index % 6}`,
        d: path(points.map((point) => [x(point.at), y(of(point))])),
      }),
    ),
    ends.map(({ name, y: at }, index) =>
      h(
        "text",
        {
          key: `end ${name}`,
          class: name === "together" ? "end end-all" : `end end-${index % 6}`,
          x: width - right + 6,
          y: at + 4,
        },
        name,
      ),
    ),
  ]);
}

// runs: [{at, rate, interval: [low, high], verdict}], oldest first.
export function scorePlot({ runs, width, label }) {
  const height = width < 500 ? 180 : 220;
  const low = Math.max(
    0,
    Math.floor((Math.min(...runs.map(({ interval }) => interval[0])) - 0.02) * 10) / 10,
  );
  const x = across(
    runs.map(({ at }) => at),
    width - 12,
    10,
  );
  const y = (value) => TOP + ((1 - value) / (1 - low || 1)) * (height - TOP - BOTTOM);
  const step = [0.02, 0.05, 0.1, 0.2].find((each) => (1 - low) / each <= 5) ?? 0.25;
  const ticks = Array.from({ length: Math.floor((1 - low) / step + 1.001) }, (_, index) => 1 - step * index);
  return picture(width, height, label, [
    ticks.map((tick) => grid(width - 12, y(tick), percent(tick))),
    days(x, runs, width - 12, height),
    h("path", { key: "line", class: "line line-all", d: path(runs.map((run) => [x(run.at), y(run.rate)])) }),
    runs.map((run) =>
      h(
        "g",
        { key: `run ${run.at}`, class: `run ${run.verdict}` },
        h("line", { x1: x(run.at), x2: x(run.at), y1: y(run.interval[0]), y2: y(run.interval[1]) }),
        dot(run.verdict, x(run.at), y(run.rate)),
      ),
    ),
  ]);
}

// lines: [{name, points: [{at, rate}]}], oldest first; a line breaks where there are no points for two steps.
export function errorPlot({ lines, every, width, label }) {
  const [right, letters] = width < 500 ? [width - 66, 8] : [width - 110, 14];
  const height = width < 500 ? 170 : 190;
  const all = lines.flatMap(({ points }) => points);
  const highest = Math.max(...all.map(({ rate }) => rate));
  const most = [0.02, 0.05, 0.1, 0.25, 0.5].find((each) => highest <= each) ?? 1;
  const sorted = all.toSorted((one, other) => one.at - other.at);
  const x = across(
    all.map(({ at }) => at),
    right,
  );
  const y = (value) => TOP + (1 - value / most) * (height - TOP - BOTTOM);
  const ends = apart(
    lines.map(({ points }) => ({ y: y(points.at(-1).rate) })),
    height - BOTTOM,
  );
  const look = (index) => (index ? String(index % 6) : "all");
  return picture(width, height, label, [
    [0, most / 2, most].map((tick) => grid(right, y(tick), percent(tick))),
    days(x, sorted, right, height),
    lines.map(({ name, points }, index) => [
      h("path", {
        key: name,
        class: `line line-${look(index)}`,
        d: unbroken(points, 2.5 * every)
          .map((part) => path(part.map((point) => [x(point.at), y(point.rate)])))
          .join(""),
      }),
      points.length === 1 &&
        h("circle", { key: `only ${name}`, class: `only-${look(index)}`, cx: x(points[0].at), cy: y(points[0].rate), r: 3 }),
      h(
        "text",
        { key: `end ${name}`, class: `end end-${look(index)}`, x: right + 6, y: ends[index].y + 4 },
        name.length > letters ? `${name.slice(0, letters - 1)}…` : name,
      ),
    ]),
  ]);
}

function unbroken(points, gap) {
  const parts = [];
  for (const point of points) {
    if (parts.length && point.at - parts.at(-1).at(-1).at <= gap) parts.at(-1).push(point);
    else parts.push([point]);
  }
  return parts;
}

function dot(verdict, x, y) {
  if (verdict === "fail") return h("rect", { x: x - 4, y: y - 4, width: 8, height: 8 });
  return h("circle", { cx: x, cy: y, r: 4, class: verdict === "pass" ? "" : "hollow" });
}

function picture(width, height, label, ...inside) {
  return h(
    "svg",
    { class: "plot", role: "img", "aria-label": label, width, height, viewBox: `0 0 ${width} ${height}` },
    inside,
  );
}

function across(times, right, margin = 0) {
  const [from, to] = [Math.min(...times), Math.max(...times)];
  const room = right - LEFT - 2 * margin;
  return (at) => LEFT + margin + (to > from ? ((at - from) / (to - from)) * room : room / 2);
}

function grid(right, y, words) {
  return [
    h("line", { key: `grid ${words}`, class: "grid", x1: LEFT, x2: right, y1: y, y2: y }),
    h("text", { key: `tick ${words}`, class: "tick", x: LEFT - 8, y: y + 4, "text-anchor": "end" }, words),
  ];
}

// Times at even steps of the reader's own day.
function days(x, points, right, height) {
  const [from, to] = [points[0].at, points.at(-1).at];
  const most = Math.max(2, Math.floor((right - LEFT) / 110));
  const step = STEPS.find((each) => (to - from) / each <= most) ?? STEPS.at(-1);
  const offset = new Date(from * 1000).getTimezoneOffset() * 60;
  const first = Math.ceil((from - offset) / step) * step + offset;
  const sameDay = to - from < 20 * 3600 && now() - from < 24 * 3600;
  const ticks = [];
  for (let at = first; at <= to; at += step) ticks.push(at);
  return ticks.map((at) =>
    h(
      "text",
      {
        key: `at ${at}`,
        class: "tick",
        x: Math.max(LEFT + 14, Math.min(x(at), right - 14)),
        y: height - 8,
        "text-anchor": "middle",
      },
      step >= 86400 ? DAY.format(at * 1000) : (sameDay ? SAME_DAY : OTHER_DAY).format(at * 1000),
    ),
  );
}

const TEN = new Intl.NumberFormat("en", { notation: "compact" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

function path(pairs) {
  return pairs.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
}

// Labels at the ends of lines, moved until none lies on another.
function apart(ends, bottom) {
  const sorted = [...ends].sort((one, other) => one.y - other.y);
  for (let index = 1; index < sorted.length; index++)
    sorted[index].y = Math.max(sorted[index].y, sorted[index - 1].y + 15);
  const over = Math.max(0, (sorted.at(-1)?.y ?? 0) - bottom);
  for (let index = sorted.length - 1; over && index >= 0; index--)
    sorted[index].y = Math.min(sorted[index].y, bottom - (sorted.length - 1 - index) * 15);
  return ends;
}
