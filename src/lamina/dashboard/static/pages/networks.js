// The networks of the daemon, and who reaches whom through them.

import { get, path, send } from "../api.js";
import { nameOf } from "../container.js";
import { askToPrune, scrolling, section } from "../details.js";
import { button, element, field, fill, link } from "../dom.js";
import { keepLoaded } from "../events.js";
import { short, size } from "../format.js";
import { parsePairs } from "../labels.js";
import { ask, attempt, tell } from "../messages.js";
import { drawReachability, reachability, reached } from "../reachability.js";
import { Table } from "../table.js";

const BUILT_IN = new Set(["bridge", "host", "none"]);

export async function show(page) {
  const table = new Table({
    label: "networks",
    columns: page.settings.readOnly ? COLUMNS : [...COLUMNS, ACTIONS],
    key: ({ network }) => network.Id,
    text: ({ network }) => `${network.Name} ${network.Driver} ${network.Id} ${subnets(network)}`,
  });
  const picture = element("div");
  if (!page.settings.readOnly) {
    page.main.append(element("div", { class: "actions" },
      button("Create a network", create, { class: "primary" }),
      button("Remove unused networks", () => attempt(prune))));
  }
  page.main.append(table.element, picture);
  await keepLoaded(["network", "container"], async () => {
    const map = await loadMap(page.signal);
    table.update(map.networks);
    fill(picture, section("Who reaches whom", whoReachesWhom(map)));
  }, page.signal);
}

// Return the networks and the containers in them.
export async function loadMap(signal) {
  const [networks, containers] = await Promise.all([
    get("/networks", {}, signal), get("/containers/json", { all: 1 }, signal),
  ]);
  return reachability(networks.sort((one, other) => one.Name.localeCompare(other.Name)), containers);
}

function whoReachesWhom(map) {
  if (!map.containers.length) {
    return element("p", { class: "count" }, "No container is in a network.");
  }
  const rows = map.containers.map((container) => element("tr", {},
    element("th", { scope: "row" }, link(nameOf(container), "containers", container.Id, "inspect")),
    element("td", {}, others(reached(map, container)))));
  return [
    scrolling("Drawing of the networks", drawReachability(map)),
    element("table", { "aria-label": "Who reaches whom" },
      element("thead", {}, element("tr", {}, ["Container", "Reaches"].map((title) => element("th", { scope: "col" }, title)))),
      element("tbody", {}, rows)),
  ];
}

function others(list) {
  return list.length
    ? list.map(({ container, networks }) => `${nameOf(container)} (by ${networks.join(", ")})`).join(", ")
    : "no other container";
}

// Return the address ranges of a network.
export function subnets(network) {
  return (network.IPAM?.Config ?? []).map((range) => range.Subnet).join(", ");
}

const COLUMNS = [
  { title: "Name", cell: ({ network }) => link(network.Name, "networks", network.Id), sort: ({ network }) => network.Name },
  { title: "ID", cell: ({ network }) => element("code", {}, short(network.Id)) },
  { title: "Driver", cell: ({ network }) => network.Driver, sort: ({ network }) => network.Driver },
  { title: "Addresses", cell: ({ network }) => subnets(network), sort: ({ network }) => subnets(network) },
  { title: "Containers", cell: ({ members }) => members.map(nameOf).join(", "), sort: ({ members }) => members.length },
];
const ACTIONS = {
  title: "Actions",
  cell: ({ network }) => !BUILT_IN.has(network.Name)
    && button("Remove", () => remove(network), { class: "danger", "aria-label": `Remove ${network.Name}` }),
};

function create() {
  const name = field("Name", { type: "text", required: true, autocomplete: "off" });
  const subnet = field("Addresses (such as 10.9.0.0/24; empty for free ones)", { type: "text", autocomplete: "off" });
  const internal = field("No way out of the machine", { type: "checkbox" });
  const labels = field("Labels, one NAME=VALUE a line", { rows: "2" }, "textarea");
  return ask({
    title: "Create a network",
    content: [name.label, subnet.label, internal.label, labels.label],
    action: "Create",
    run: async () => {
      const range = subnet.control.value.trim();
      const body = {
        Name: name.control.value.trim(), Driver: "bridge", Internal: internal.control.checked,
        Labels: parsePairs(labels.control.value), IPAM: range ? { Config: [{ Subnet: range }] } : undefined,
      };
      await send("POST", "/networks/create", { body });
      tell(`${body.Name} created`);
      return true;
    },
  });
}

// Ask and remove a network. Return whether it was removed.
export function remove(network) {
  return ask({
    title: `Remove ${network.Name}?`,
    content: element("p", {}, "A network that containers are in is refused."),
    action: "Remove",
    isDangerous: true,
    run: async () => {
      await send("DELETE", path`/networks/${network.Id}`);
      tell(`${network.Name} removed`);
      return true;
    },
  });
}

async function prune() {
  const { networks } = await loadMap(null);
  const plan = networks.filter(({ network, members }) => !members.length && !BUILT_IN.has(network.Name))
    .map(({ network }) => ({ name: network.Name }));
  if (!plan.length) {
    tell("Every network is in use");
    return;
  }
  await askToPrune({
    title: "Remove unused networks?",
    plan,
    size,
    note: "No container is in them.",
    run: async () => {
      const { NetworksDeleted: names } = await send("POST", "/networks/prune");
      tell(`${names?.length ?? 0} removed`);
      return true;
    },
  });
}
