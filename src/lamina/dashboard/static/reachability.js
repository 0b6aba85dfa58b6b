// Who reaches whom: containers as columns, networks as lines across them, and a dot where a container has an address.

import { nameOf } from "./container.js";
import { drawing, shape, words } from "./svg.js";

const LEFT = 190; // pixels for the networks' names
const COLUMN = 130;
const ROW = 46;
const TOP = 60;
const MOST = 60; // containers in one drawing

// Return what the drawing is made of: networks with the containers that are in them, and the containers.
export function reachability(networks, containers) {
  const joining = new Set(networks.filter(joins).map((network) => network.Id));
  return {
    containers: containers.filter((container) => attachments(container).some(({ NetworkID: id }) => joining.has(id))),
    networks: networks.map((network) => ({
      network,
      members: containers.filter((container) => attachments(container).some(({ NetworkID: id }) => id === network.Id)),
    })),
  };
}

// Return whether containers in a network reach each other.
function joins(network) {
  return network.Driver !== "null";
}

function attachments(container) {
  return Object.values(container.NetworkSettings?.Networks ?? {}).filter((one) => one.NetworkID);
}

// Return the containers that a container reaches: { container, networks }, networks by their names.
export function reached({ networks }, container) {
  const byId = new Map();
  for (const { network, members } of networks) {
    if (joins(network) && members.includes(container)) {
      for (const other of members.filter((each) => each !== container)) {
        const entry = byId.get(other.Id) ?? { container: other, networks: [] };
        entry.networks.push(network.Name);
        byId.set(other.Id, entry);
      }
    }
  }
  return [...byId.values()];
}

// Return whether a network leads out of the machine.
export function leadsOut(network) {
  return !network.Internal && joins(network);
}

// Return the drawing.
export function drawReachability({ networks, containers }) {
  const columns = containers.slice(0, MOST);
  const rows = networks.filter(({ network, members }) => joins(network) && members.length);
  const width = LEFT + Math.max(1, columns.length) * COLUMN + 20;
  const height = TOP + rows.length * ROW + 10;
  const center = (index) => LEFT + index * COLUMN + COLUMN / 2;
  const boxes = columns.map((container, index) => [
    shape("rect", { class: `box ${container.State === "running" ? "run" : "idle"}`, x: center(index) - COLUMN / 2 + 5, y: 8, width: COLUMN - 10, height: 30, rx: 4, hint: nameOf(container) }),
    words(nameOf(container), center(index), 28, COLUMN - 20, { "text-anchor": "middle" }),
  ]);
  return drawing("Containers and the networks that join them. The table below says the same.", width, height,
    rows.map((row, index) => drawRow(row, TOP + index * ROW + 10, columns, center, width)), boxes);
}

function drawRow({ network, members }, y, columns, center, width) {
  const dots = columns.map((container, index) => members.includes(container) && [
    shape("line", { class: "wire", x1: center(index), y1: 38, x2: center(index), y2: y }),
    shape("circle", { class: "dot", cx: center(index), cy: y, r: 6, hint: address(container, network) }),
    words(address(container, network), center(index) + 9, y + 18, COLUMN / 2 + 30, { class: "small" }),
  ]);
  return shape("g", {},
    shape("line", { class: leadsOut(network) ? "bus" : "bus inner", x1: LEFT - 10, y1: y, x2: width - 10, y2: y }),
    words(network.Name, 4, y, LEFT - 24),
    words(leadsOut(network) ? "leads out" : "leads nowhere else", 4, y + 15, LEFT - 24, { class: "small" }),
    dots);
}

// Return a container's address in a network.
export function address(container, network) {
  const attached = attachments(container).find(({ NetworkID: id }) => id === network.Id);
  return attached?.IPAddress || attached?.GlobalIPv6Address || "no address";
}
