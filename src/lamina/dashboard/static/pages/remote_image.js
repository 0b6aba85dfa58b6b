// One image of a registry, without pulling it: its platforms, or its layers and the instructions that made them, and its
// manifest as the registry has it.

import { getRaw } from "../api.js";
import { figures, section } from "../details.js";
import { element, link } from "../dom.js";
import { ago, short, size } from "../format.js";
import { headerFor } from "../logins.js";
import { pullButton } from "../registry_pull.js";
import { distribution, trail } from "../remote_image.js";

const IMAGES = ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

export async function show(page) {
  const { registry, name, tag } = page.parameters;
  const separator = tag.includes(":") ? "@" : ":";
  page.title(`${name}${separator}${tag}`);
  const target = distribution(registry, `${name}${separator}${tag}`, "manifest");
  const text = await (await getRaw(target, {}, page.signal, headerFor(registry))).text();
  const manifest = JSON.parse(text);
  const layers = manifest.layers ?? [];
  const config = IMAGES.includes(manifest.config?.mediaType) ? await configOf(page, `${name}${separator}${tag}`) : null;
  page.main.append(
    trail(registry, name),
    !page.settings.readOnly ? element("div", { class: "actions" }, pullButton(registry, `${registry}/${name}`, tag, page.signal)) : "",
    figures([
      ["Kind", manifest.manifests ? "index" : "image"],
      ["Media type", manifest.mediaType],
      ["Layers", layers.length],
      ["Size", size(layers.reduce((total, layer) => total + layer.size, 0))],
    ]),
    manifest.manifests ? section("Images", imagesTable(page, manifest.manifests)) : section("Layers", layersTable(layers)),
    config && section("Instructions", stepsTable(config.history ?? [], layers)),
    section("Manifest", element("pre", { class: "view", tabindex: "0" }, text)),
  );
}

async function configOf({ parameters: { registry }, signal }, name) {
  return (await getRaw(distribution(registry, name, "config"), {}, signal, headerFor(registry))).json();
}

// Return the steps, the newest first. Those that have changed files are as many as the layers, in the same order.
function stepsTable(history, layers) {
  const withLayer = history.filter((step) => !step.empty_layer);
  const layerOf = (step) => (withLayer.length === layers.length ? layers[withLayer.indexOf(step)] : null);
  return rowsTable("Instructions", ["Made by", "Layer", "Size", "Made"], [...history].reverse().map((step) => {
    const layer = layerOf(step);
    return [
      element("code", {}, step.created_by || "unknown"), layer ? element("code", {}, short(layer.digest)) : "none", layer ? size(layer.size) : "",
      step.created ? ago(Date.parse(step.created) / 1000) : "",
    ];
  }));
}

function layersTable(layers) {
  return rowsTable("Layers", ["Digest", "Size", "Media type"], layers.map((layer) => [
    element("code", {}, layer.digest), size(layer.size), layer.mediaType,
  ]));
}

function imagesTable({ parameters: { registry, name } }, entries) {
  return rowsTable("Images", ["Digest", "Platform", "Manifest's size"], entries.map((entry) => [
    link(short(entry.digest), "registries", registry, "repositories", name, "tags", entry.digest), platformOf(entry), size(entry.size),
  ]));
}

function platformOf({ platform, annotations }) {
  const kind = annotations?.["vnd.docker.reference.type"];
  return kind ?? (platform ? [platform.os, platform.architecture, platform.variant].filter(Boolean).join("/") : "any");
}

function rowsTable(label, titles, rows) {
  return element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": `Table of ${label}` },
    element("table", { "aria-label": label },
      element("thead", {}, element("tr", {}, titles.map((title) => element("th", { scope: "col" }, title)))),
      element("tbody", {}, rows.map(([first, ...rest]) => element("tr", {}, element("th", { scope: "row" }, first), rest.map((cell) => element("td", {}, cell)))))));
}
