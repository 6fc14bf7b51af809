// Limits, of each tenant and of single ones: a table that can be written into.

import { h } from "./dom.js";
import { portion } from "./table.js";
import { KINDS, LIMITS, keyOf, read, written } from "./changes.js";

const added = new Set(); // tenants that somebody wants to write limits for
const wrong = new Map(); // key -> why what is written there is no limit

export function limits(parts) {
  const { draft, may, redraw } = parts;
  const [tenants, more] = portion("Limits", ["", ...new Set([...limited(draft), ...added])], redraw);
  return h(
    "section",
    { "aria-labelledby": "limits" },
    h("h2", { id: "limits" }, "Limits"),
    h(
      "p",
      { class: "quiet" },
      "Each tenant has its own. An empty field is no limit; for a single tenant, what everybody has.",
    ),
    h(
      "div",
      { class: "limits", role: "table", "aria-labelledby": "limits" },
      h(
        "div",
        { role: "row", class: "titles" },
        h("span", { role: "columnheader" }, "Tenant"),
        Object.values(LIMITS).map(({ title }) => h("span", { role: "columnheader" }, title)),
      ),
      tenants.map((tenant) => row(parts, tenant)),
    ),
    more,
    may &&
      h(
        "form",
        {
          class: "add",
          onsubmit: (event) => {
            event.preventDefault();
            const field = event.target.elements.tenant;
            if (field.value.trim()) added.add(field.value.trim());
            field.value = "";
            redraw();
          },
        },
        h("input", {
          name: "tenant",
          "aria-label": "Limits for a single tenant: its name",
          placeholder: KINDS.tenants.hint,
          autocomplete: "off",
          spellcheck: "false",
          maxlength: "128",
        }),
        h("button", {}, "Add tenant"),
      ),
  );
}

function limited(draft) {
  const keys = [...draft.base.keys(), ...draft.changes.keys()].map((key) => JSON.parse(key));
  return keys
    .filter(([what, tenant]) => what === "limit" && tenant)
    .map(([, tenant]) => tenant)
    .sort();
}

function row(parts, tenant) {
  const whose = tenant || "each tenant";
  return h(
    "div",
    { role: "row", key: tenant },
    h("b", { role: "rowheader" }, whose),
    Object.keys(LIMITS).map((which) =>
      h("span", { role: "cell", "data-title": LIMITS[which].title }, field(parts, tenant, which, whose)),
    ),
  );
}

function field({ draft, may, redraw }, tenant, which, whose) {
  const key = keyOf("limit", tenant, which);
  const value = draft.value(key);
  const text = value === undefined ? "" : written(which, value);
  if (!may) return text || "–";
  const id = `wrong ${key}`;
  const problem = wrong.get(key);
  return [
    h("input", {
      value: text,
      class: draft.changes.has(key) ? "pending" : "",
      "aria-label": `${LIMITS[which].title} of ${whose}, for example ${LIMITS[which].example}`,
      placeholder: tenant ? "as everybody" : "no limit",
      autocomplete: "off",
      spellcheck: "false",
      "aria-invalid": problem ? "true" : null,
      "aria-describedby": problem ? id : null,
      onchange: (event) => {
        take(draft, key, which, event.target.value);
        redraw();
      },
    }),
    problem && h("small", { id, class: "error", role: "alert" }, problem),
  ];
}

function take(draft, key, which, text) {
  wrong.delete(key);
  try {
    draft.set(key, read(which, text));
  } catch (error) {
    wrong.set(key, error.message);
  }
}
