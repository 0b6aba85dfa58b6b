// One repository of a registry: its tags, to look at and to pull.

import { get } from "../api.js";
import { element, fill, link } from "../dom.js";
import { headerFor } from "../logins.js";
import { pullButton } from "../registry_pull.js";
import { distribution, trail } from "../remote_image.js";
import { Table } from "../table.js";
import { loginButtons } from "./registries.js";

const MOST = 10000;

export async function show(page) {
  const { registry, name } = page.parameters;
  page.title(name);
  const actions = element("div", { class: "actions" });
  const columns = [{ title: "Tag", cell: (tag) => link(tag, "registries", registry, "repositories", name, "tags", tag), sort: (tag) => tag }];
  if (!page.settings.readOnly) {
    columns.push({ title: "Pull", cell: (tag) => pullButton(registry, `${registry}/${name}`, tag, page.signal) });
  }
  const table = new Table({ label: "tags", columns, key: (tag) => tag, text: (tag) => tag, empty: "There are no tags." });
  page.main.append(trail(registry), actions, table.element);
  const load = async () => {
    fill(actions, !page.settings.readOnly && loginButtons(registry, load));
    const { Tags: tags } = await get(distribution(registry, name, "tags"), { limit: MOST }, page.signal, headerFor(registry));
    table.update(tags);
  };
  await load();
}
