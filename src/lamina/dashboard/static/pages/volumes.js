// The volumes of the daemon, and the containers that use them.

import { get, path, send } from "../api.js";
import { nameOf } from "../container.js";
import { askToPrune } from "../details.js";
import { button, element, field, link } from "../dom.js";
import { keepLoaded } from "../events.js";
import { ago, size } from "../format.js";
import { parsePairs } from "../labels.js";
import { ask, attempt, tell } from "../messages.js";
import { Table } from "../table.js";

export async function show(page) {
  const table = new Table({
    label: "volumes",
    columns: page.settings.readOnly ? COLUMNS : [...COLUMNS, ACTIONS],
    key: (volume) => volume.Name,
    text: (volume) => `${volume.Name} ${volume.Driver} ${JSON.stringify(volume.Labels ?? {})}`,
    empty: "There are no volumes yet.",
  });
  if (!page.settings.readOnly) {
    page.main.append(element("div", { class: "actions" },
      button("Create a volume", create, { class: "primary" }),
      button("Remove unused volumes", () => attempt(prune))));
  }
  page.main.append(table.element);
  await keepLoaded(["volume", "container"], async () => table.update(await volumes(page.signal)), page.signal);
}

// Return the volumes, each with the containers that use it.
export async function volumes(signal) {
  const [{ Volumes: all }, containers] = await Promise.all([
    get("/volumes", {}, signal), get("/containers/json", { all: 1 }, signal),
  ]);
  return all.map((volume) => ({ ...volume, users: containers.filter((container) => uses(container, volume.Name)) }));
}

function uses(container, name) {
  return container.Mounts?.some((mount) => mount.Type === "volume" && mount.Name === name);
}

const COLUMNS = [
  { title: "Name", cell: (volume) => link(volume.Name, "volumes", volume.Name), sort: (volume) => volume.Name },
  { title: "Driver", cell: (volume) => volume.Driver, sort: (volume) => volume.Driver },
  { title: "Used by", cell: (volume) => users(volume), sort: (volume) => volume.users.length },
  { title: "Created", cell: (volume) => ago(Date.parse(volume.CreatedAt) / 1000), sort: (volume) => volume.CreatedAt },
];
const ACTIONS = {
  title: "Actions",
  cell: (volume) => button("Remove", () => remove(volume), { class: "danger", "aria-label": `Remove ${volume.Name}` }),
};

// Return links to the containers that use a volume.
export function users(volume) {
  return volume.users.map((container, index) => [index ? ", " : "", link(nameOf(container), "containers", container.Id, "inspect")]);
}

function create() {
  const name = field("Name (empty for a random one)", { type: "text", autocomplete: "off" });
  const labels = field("Labels, one NAME=VALUE a line", { rows: "3" }, "textarea");
  return ask({
    title: "Create a volume",
    content: [name.label, labels.label],
    action: "Create",
    run: async () => {
      const body = { Name: name.control.value.trim(), Labels: parsePairs(labels.control.value) };
      const volume = await send("POST", "/volumes/create", { body });
      tell(`${volume.Name} created`);
      return true;
    },
  });
}

// Ask and remove a volume. Return whether it was removed.
export function remove(volume) {
  const names = volume.users.map(nameOf).join(", ");
  return ask({
    title: `Remove ${volume.Name}?`,
    content: element("p", {}, names ? `It is used by ${names}, so it will be refused.` : "Its files are lost."),
    action: "Remove",
    isDangerous: true,
    run: async () => {
      await send("DELETE", path`/volumes/${volume.Name}`);
      tell(`${volume.Name} removed`);
      return true;
    },
  });
}

async function prune() {
  const usage = await get("/system/df", { type: "volume" });
  const plan = (usage.Volumes ?? []).filter((volume) => !volume.UsageData.RefCount)
    .map((volume) => ({ name: volume.Name, size: volume.UsageData.Size }));
  if (!plan.length) {
    tell("Every volume is in use");
    return;
  }
  await askToPrune({
    title: "Remove unused volumes?",
    plan,
    size,
    note: "Their files are lost.",
    run: async () => {
      const { SpaceReclaimed: bytes } = await send("POST", "/volumes/prune", { query: { filters: { all: ["true"] } } });
      tell(`${size(bytes)} freed`);
      return true;
    },
  });
}
