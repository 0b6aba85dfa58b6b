// One network: its addresses, its containers, its labels and options.

import { get, path, send } from "../api.js";
import { nameOf } from "../container.js";
import { figures, pairsTable, section } from "../details.js";
import { button, element, field, fill, link, place } from "../dom.js";
import { keepLoaded } from "../events.js";
import { ask, attempt, tell } from "../messages.js";
import { address, leadsOut } from "../reachability.js";
import { loadMap, remove, subnets } from "./networks.js";

export async function show(page) {
  const body = element("div");
  page.main.append(body);
  await keepLoaded(["network", "container"], async () => {
    const map = await loadMap(page.signal);
    const entry = map.networks.find(({ network }) => network.Id === page.parameters.id);
    if (!entry) {
      location.hash = place("networks");
      return;
    }
    page.title(entry.network.Name);
    fill(body, describe(entry, page.settings.readOnly));
  }, page.signal);
}

function describe({ network, members }, isReadOnly) {
  return [
    !isReadOnly && element("div", { class: "actions" },
      button("Connect a container", () => attempt(() => connect(network, members)), { class: "primary" }),
      button("Remove", () => remove(network), { class: "danger", "aria-label": `Remove ${network.Name}` })),
    figures([
      ["Driver", network.Driver],
      ["Addresses", subnets(network)],
      ["Gateway", (network.IPAM?.Config ?? []).map((range) => range.Gateway).filter(Boolean).join(", ")],
      ["Way out", leadsOut(network) ? "yes" : "no"],
      ["Created", network.Created],
      ["ID", element("code", {}, network.Id)],
    ]),
    section("Containers", members.length ? element("ul", {}, members.map((container) => element("li", {},
      link(nameOf(container), "containers", container.Id, "inspect"), ` ${address(container, network)} `,
      !isReadOnly && button("Disconnect", () => attempt(() => disconnect(network, container)), { "aria-label": `Disconnect ${nameOf(container)}` }))))
      : element("p", { class: "count" }, "None.")),
    section("Labels", pairsTable("Labels", network.Labels)),
    section("Options", pairsTable("Options", network.Options)),
  ];
}

async function connect(network, members) {
  const containers = await get("/containers/json", { all: 1 });
  const outside = containers.filter((container) => !members.some(({ Id: id }) => id === container.Id));
  const choice = field("Container", {}, "select");
  fill(choice.control, outside.map((container) => element("option", { value: container.Id }, nameOf(container))));
  await ask({
    title: `Connect a container to ${network.Name}`,
    content: choice.label,
    action: "Connect",
    run: async () => {
      await send("POST", path`/networks/${network.Id}/connect`, { body: { Container: choice.control.value } });
      tell("Connected");
      return true;
    },
  });
}

async function disconnect(network, container) {
  await send("POST", path`/networks/${network.Id}/disconnect`, { body: { Container: container.Id } });
  tell(`${nameOf(container)} disconnected`);
}
