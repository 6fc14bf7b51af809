// The field for a reason: whatever people change here, others read why.

import { h } from "./dom.js";

// `draft.reason` is what has been typed; `read` is where others read it.
export const reasonField = (draft, { id, read, example }) => [
  h("label", { for: id, key: `${id} label` }, `Reason, for everybody who reads ${read}`),
  h("input", {
    id,
    key: id,
    value: draft.reason,
    required: true,
    maxlength: "500",
    autocomplete: "off",
    placeholder: example,
    pattern: ".*\\S.*",
    title: "A few words on why",
    oninput: (event) => {
      draft.reason = event.target.value;
    },
  }),
];
