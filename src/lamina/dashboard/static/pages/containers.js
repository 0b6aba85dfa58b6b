// The containers of the daemon, those of a Compose project below its name.

import { get } from "../api.js";
import { element, link } from "../dom.js";
import { keepLoaded } from "../events.js";
import { ago } from "../format.js";
import { Table } from "../table.js";
import { actionsOf, nameOf, portsOf, stateOf } from "../container.js";

const PROJECT = "com.docker.compose.project";

export async function show(page) {
  const table = new Table({
    label: "containers",
    columns: columns(page.settings),
    key: (container) => container.Id,
    text: (container) => `${nameOf(container)} ${container.Image} ${container.State} ${container.Id} ${projectOf(container)}`,
    group: projectOf,
    empty: "There are no containers yet. Run an image.",
  });
  page.main.append(table.element);
  const load = async () => table.update(await get("/containers/json", { all: 1 }, page.signal));
  await keepLoaded(["container"], load, page.signal);
}

function columns(settings) {
  const shown = [
    { title: "Name", cell: (container) => link(nameOf(container), "containers", container.Id, "logs"), sort: nameOf },
    { title: "Image", cell: (container) => container.Image, sort: (container) => container.Image },
    { title: "State", cell: stateOf, sort: (container) => container.State },
    { title: "Ports", cell: portsOf },
    { title: "Created", cell: (container) => ago(container.Created), sort: (container) => container.Created },
  ];
  const actions = { title: "Actions", cell: (container) => element("div", { class: "actions" }, actionsOf(container)) };
  return settings.readOnly ? shown : [...shown, actions];
}

function projectOf(container) {
  const project = container.Labels?.[PROJECT];
  return project ? `Project ${project}` : "";
}
