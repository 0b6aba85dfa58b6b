// Elements made from plain values. Text only ever becomes text nodes: nothing a container or an image is called, holds
// or prints is parsed as HTML.

// Control characters, and marks that reorder or hide the text around them (Unicode Technical Report 36, section 2).
const UNPRINTABLE =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

const SHOWN_ATTRIBUTES = new Set(["title", "aria-label", "alt", "placeholder"]);

// Return the text with a visible name in place of each character that cannot be seen. Line ends and tabs stay.
export function printable(text) {
  return String(text).replace(UNPRINTABLE, (character) => {
    const code = character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    return `\u27e8U+${code}\u27e9`;
  });
}

// Return a new element. Attributes whose value is a function are listeners, true is an attribute without a value, and
// null, undefined and false leave one out. Children are elements, texts and lists of them.
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    setAttribute(made, key, value);
  }
  append(made, children);
  return made;
}

function setAttribute(target, key, value) {
  if (typeof value === "function") {
    target.addEventListener(key, value);
  } else if (key === "value") {
    target.value = value;
  } else if (value === true) {
    target.setAttribute(key, "");
  } else if (value !== null && value !== undefined && value !== false) {
    target.setAttribute(key, SHOWN_ATTRIBUTES.has(key) ? printable(value) : value);
  }
}

// Add children to an element.
export function append(parent, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child instanceof Node) {
      parent.append(child);
    } else if (child !== null && child !== undefined && child !== false) {
      parent.append(document.createTextNode(printable(child)));
    }
  }
}

// Put children in place of those that an element has.
export function fill(parent, ...children) {
  parent.replaceChildren();
  append(parent, children);
}

// Replace the children of an element unless the new ones look the same. A button that is being pressed, or that has the
// focus, stays then.
export function refill(parent, ...children) {
  const fresh = parent.cloneNode(false);
  append(fresh, children);
  if (!fresh.isEqualNode(parent)) {
    parent.replaceChildren(...fresh.childNodes);
  }
}

// Return a link to a page of the dashboard, such as link("Logs", "containers", id, "logs").
export function link(text, ...parts) {
  return element("a", { href: place(...parts) }, text);
}

// Return the address of a page of the dashboard.
export function place(...parts) {
  return `#/${parts.map(encodeURIComponent).join("/")}`;
}

// Return a button that runs an action and is disabled while it runs.
export function button(text, action, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", async () => {
    made.disabled = true;
    try {
      await action();
    } finally {
      made.disabled = false;
    }
  });
  return made;
}

// Return an input with its label. It is the label that goes into the page; the input is its `control`.
export function field(text, attributes = {}, name = "input") {
  const control = element(name, attributes);
  const label = element("label", { class: attributes.type === "checkbox" ? "check" : "field" }, element("span", {}, text), control);
  label.control_ = control;
  return { label, control };
}

const styleSheets = new Map();

// Load a style sheet that only some pages need, by its place beside this module. Return a promise that it is there.
export function useStyleSheet(name) {
  const { href } = new URL(name, import.meta.url);
  if (!styleSheets.has(href)) {
    styleSheets.set(href, new Promise((resolve, reject) => {
      document.head.append(element("link", { rel: "stylesheet", href, load: resolve, error: () => reject(new Error(`${href} cannot be loaded`)) }));
    }));
  }
  return styleSheets.get(href);
}
