// A table that becomes a list on a phone, and shows so many rows at once.
// In: columns [{title, cell(row), wide?}], rows with a `key`. The roles are said because CSS takes them away.

import { h } from "./dom.js";
import { whole } from "./words.js";

const CHUNK = 100;
const shown = new Map(); // caption -> how many rows

export function table({ caption, columns, rows, key, redraw, kind = "" }) {
  const [first, more] = portion(caption, rows, redraw);
  const cells = (row) => columns.map((column, index) => cell(column, index, column.cell(row)));
  return [
    h(
      "table",
      { role: "table", class: kind, "aria-rowcount": rows.length + 1 },
      h("caption", { class: "unseen" }, caption),
      h(
        "thead",
        { role: "rowgroup" },
        h(
          "tr",
          { role: "row" },
          columns.map(({ title, kind: of }) =>
            h("th", { role: "columnheader", scope: "col", class: of ?? "" }, title),
          ),
        ),
      ),
      h(
        "tbody",
        { role: "rowgroup" },
        first.map((row) => h("tr", { role: "row", key: key(row) }, cells(row))),
      ),
    ),
    more,
  ];
}

function cell({ title, kind }, index, ...content) {
  const names = { "data-title": title, class: kind ?? "" };
  return index === 0
    ? h("th", { role: "rowheader", scope: "row", ...names }, content)
    : h("td", { role: "cell", ...names }, h("div", {}, content));
}

// The first of many, and the button for more of them.
export function portion(name, rows, redraw) {
  const most = shown.get(name) ?? CHUNK;
  const press = () => {
    reveal(name);
    redraw();
  };
  const more =
    rows.length > most &&
    h(
      "p",
      { class: "more" },
      h("button", { onclick: press }, "Show more"),
      ` ${whole(most)} of ${whole(rows.length)} are shown`,
    );
  return [rows.slice(0, most), more];
}

export function reveal(name) {
  shown.set(name, (shown.get(name) ?? CHUNK) + 5 * CHUNK);
}
