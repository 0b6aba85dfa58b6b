// The views of one object, as links: each has an address of its own.

import { element } from "./dom.js";

// Return the navigation between views. `views` are pairs of a name and its text; `address(name)` returns where a view is.
export function tabs(label, views, current, address) {
  const items = views.map(([name, text]) => element("li", {},
    element("a", { href: address(name), "aria-current": name === current ? "page" : null }, text)));
  return element("nav", { class: "tabs", "aria-label": label }, element("ul", {}, items));
}
