// States: by shape, word and colour, so that none of the three is needed.

import { h } from "./dom.js";

const SHAPES = {
  good: h("circle", { cx: 6, cy: 6, r: 4.5, fill: "currentColor" }),
  warn: h("path", { d: "M6 1 11.4 10.8H.6z", fill: "currentColor" }),
  bad: h("path", { d: "M1.5 1.5h9v9h-9z", fill: "currentColor" }),
  off: h("circle", {
    cx: 6,
    cy: 6,
    r: 4,
    fill: "none",
    stroke: "currentColor",
    "stroke-width": 1.6,
    "stroke-dasharray": "2.2 1.6",
  }),
  next: h("path", {
    d: "M1 6h9M6.5 2.5 10 6l-3.5 3.5",
    fill: "none",
    stroke: "currentColor",
    "stroke-width": 1.8,
  }),
  open: h("circle", { cx: 6, cy: 6, r: 4, fill: "none", stroke: "currentColor", "stroke-width": 1.8 }),
};

export function mark(kind, ...words) {
  return h(
    "span",
    { class: `mark ${kind}` },
    h("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, SHAPES[kind]),
    h("span", {}, words),
  );
}

export function empty(title, ...help) {
  return h("div", { class: "empty" }, h("p", {}, h("b", {}, title)), h("p", {}, help));
}

// The heading of a view. Focus goes to it when the view changes.
export function heading(title, ...beside) {
  return h("div", { class: "heading" }, h("h1", { tabindex: "-1" }, title), beside);
}

export function figures(pairs) {
  return h(
    "dl",
    { class: "figures" },
    pairs.map(([name, value, note]) =>
      h("div", { key: name }, h("dt", {}, name), h("dd", {}, value, note && h("small", {}, note))),
    ),
  );
}
