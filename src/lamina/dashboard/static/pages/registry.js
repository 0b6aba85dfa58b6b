// One registry: its repositories, as far as it lists them.

import { get, path } from "../api.js";
import { element, field, fill, link, place } from "../dom.js";
import { headerFor } from "../logins.js";
import { Table } from "../table.js";
import { loginButtons } from "./registries.js";

const MOST = 10000;

export async function show(page) {
  const { registry } = page.parameters;
  page.title(registry);
  const actions = element("div", { class: "actions" });
  const name = field("Name of a repository", { type: "text", required: true, autocomplete: "off" });
  const form = element("form", { class: "tools" }, name.label, element("button", { type: "submit" }, "Open"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    location.hash = place("registries", registry, "repositories", name.control.value.trim());
  });
  const problem = element("p", { class: "problem", role: "alert" });
  const table = new Table({
    label: "repositories",
    columns: [{ title: "Repository", cell: (row) => link(row, "registries", registry, "repositories", row), sort: (row) => row }],
    key: (row) => row,
    text: (row) => row,
    empty: "The registry lists no repositories.",
  });
  page.main.append(actions, form, problem, table.element);
  const load = async () => {
    fill(actions, !page.settings.readOnly && loginButtons(registry, load));
    fill(problem);
    try {
      const target = path`/registries/${registry}/repositories`;
      const { Repositories: rows } = await get(target, { limit: MOST }, page.signal, headerFor(registry));
      table.update(rows);
    } catch (error) {
      fill(problem, `The registry does not list its repositories: ${error.message}`);
    }
  };
  await load();
}
