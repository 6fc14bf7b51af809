// Descriptions of elements, and the least change that makes a document like them.
// In: h("p", {class: "x", key: 1}, "text"). Out: patch(element, descriptions) changes what differs alone, so that
// focus, selection, scroll and what a reader has opened stay. Text is only ever text: nothing here reads HTML.

const SVG = "http://www.w3.org/2000/svg";
const described = new WeakMap(); // node -> what it was last made like

export function h(tag, props, ...children) {
  return { tag, props: props ?? {}, children: flat(children) };
}

function flat(children) {
  const items = children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false);
  return items.map((child) => (child.tag ? child : { text: String(child) }));
}

export function patch(parent, ...wanted) {
  const focused = document.activeElement;
  fit(parent, flat(wanted));
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
}

function fit(parent, wanted) {
  const found = pair([...parent.childNodes], wanted);
  const kept = new Set(found);
  for (const node of [...parent.childNodes]) if (!kept.has(node)) node.remove();
  let at = parent.firstChild;
  wanted.forEach((item, index) => {
    const node = found[index] ?? create(item, parent);
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
    update(node, item);
  });
}

// Which node becomes which description: the one of the same key, else the next of the same kind without one.
function pair(nodes, wanted) {
  const places = new Map();
  for (const node of nodes) {
    const place = kind(described.get(node) ?? {});
    places.set(place, [...(places.get(place) ?? []), node]);
  }
  return wanted.map((item) => places.get(kind(item))?.shift());
}

function kind(item) {
  return item.text !== undefined ? "text" : `${item.tag} ${item.props?.key ?? ""}`;
}

function create(item, parent) {
  if (item.text !== undefined) return document.createTextNode(item.text);
  const inSvg = item.tag === "svg" || (parent.namespaceURI === SVG && parent.tagName !== "foreignObject");
  return inSvg ? document.createElementNS(SVG, item.tag) : document.createElement(item.tag);
}

function update(node, item) {
  const before = described.get(node);
  described.set(node, item);
  if (item.text !== undefined) {
    if (node.data !== item.text) node.data = item.text;
    return;
  }
  fit(node, item.children); // first: a select takes its value from its options
  const names = new Set([...Object.keys(before?.props ?? {}), ...Object.keys(item.props)]);
  for (const name of names) set(node, name, item.props[name], before?.props[name]);
}

// A value that a person typed stays until another one is described.
function set(node, name, value, before) {
  if (name === "key" || same(value, before)) return;
  if (name === "style") for (const [key, text] of Object.entries(value)) node.style.setProperty(key, text);
  else if (name.startsWith("on") || name === "value" || name === "checked")
    node[name] = value ?? (name.startsWith("on") ? null : "");
  else if (value === undefined || value === null || value === false) node.removeAttribute(name);
  else node.setAttribute(name, value === true ? "" : value);
}

function same(value, before) {
  if (value === before) return true;
  return (
    typeof value === "object" &&
    typeof before === "object" &&
    JSON.stringify(value) === JSON.stringify(before)
  );
}
