// The way from the root to a folder, each part a link.

import { element } from "./dom.js";

// Return the navigation. `address(path)` returns where a folder is shown.
export function trail(folder, address) {
  const parts = folder.split("/").filter(Boolean);
  const items = [["/", "/"], ...parts.map((part, index) => [part, `/${parts.slice(0, index + 1).join("/")}`])];
  return element("nav", { class: "trail", "aria-label": "Folder" }, element("ol", {}, items.map(([text, whole], index) =>
    element("li", {}, element("a", { href: address(whole), "aria-current": index === items.length - 1 ? "location" : null }, text)))));
}
