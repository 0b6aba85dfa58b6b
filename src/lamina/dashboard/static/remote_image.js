// What the pages about images in registries share.

import { element, link } from "./dom.js";

// Return the API's path about a repository, or about an image where the name has a tag or digest.
export function distribution(registry, name, what) {
  const encoded = name.split("/").map((part) => encodeURIComponent(part).replaceAll("%3A", ":").replaceAll("%40", "@")).join("/");
  return `/distribution/${encodeURIComponent(registry)}/${encoded}/${what}`;
}

// Return the way from the registries to a repository, or to one of its images.
export function trail(registry, name = "") {
  const steps = [link("Registries", "registries"), link(registry, "registries", registry)];
  if (name) {
    steps.push(link(name, "registries", registry, "repositories", name));
  }
  return element("nav", { class: "trail", "aria-label": "Way to here" }, element("ol", {}, steps.map((step) => element("li", {}, step))));
}
