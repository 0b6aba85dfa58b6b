// What the pages of containers share: a container's name, state and ports, and the buttons that change it.

import { path, send } from "./api.js";
import { button, element } from "./dom.js";
import { ask, attempt, tell } from "./messages.js";

// Return the name of a container of a list, without Docker's slash.
export function nameOf(container) {
  return (container.Names?.[0] ?? container.Name ?? container.Id).replace(/^\//, "");
}

// Return a container's state, with its health behind it.
export function stateOf(container) {
  const health = /\((healthy|unhealthy|health: starting)\)/.exec(container.Status ?? "")?.[1];
  return [
    element("span", { class: `state ${container.State}` }, container.State),
    health && element("span", { class: `health ${health.split(":")[0]}` }, health),
  ];
}

// Return the ports of a container of a list: those published over TCP as links.
export function portsOf(container) {
  const ports = container.Ports ?? [];
  const seen = new Set();
  return ports.filter((port) => isNew(seen, port)).map((port) => element("span", { class: "port" }, portText(port)));
}

function isNew(seen, port) {
  const key = `${port.PublicPort ?? ""} ${port.PrivatePort} ${port.Type}`;
  return !seen.has(key) && seen.add(key);
}

function portText(port) {
  const inner = `${port.PrivatePort}/${port.Type}`;
  if (!port.PublicPort) {
    return inner;
  }
  if (port.Type !== "tcp") {
    return `${port.PublicPort} → ${inner}`;
  }
  const host = ["0.0.0.0", "::", "", undefined].includes(port.IP) ? "127.0.0.1" : port.IP;
  const shown = host.includes(":") ? `[${host}]` : host;
  const href = `http://${shown}:${Number(port.PublicPort)}/`;
  return [element("a", { href, target: "_blank", rel: "noopener noreferrer" }, `${port.PublicPort}`), ` → ${inner}`];
}

// Return the buttons that fit a container's state.
export function actionsOf(container) {
  const name = nameOf(container);
  const isRunning = ["running", "paused", "restarting"].includes(container.State);
  const act = (verb, text, word) => button(text, () => attempt(async () => {
    await send("POST", path`/containers/${container.Id}/` + verb);
    tell(`${name} ${word}`);
  }), { "aria-label": `${text} ${name}` });
  return [
    isRunning ? act("stop", "Stop", "stopped") : act("start", "Start", "started"),
    isRunning && act("restart", "Restart", "restarted"),
    container.State === "paused" ? act("unpause", "Resume", "resumed") : container.State === "running" && act("pause", "Pause", "paused"),
    button("Remove", () => remove(container, isRunning), { class: "danger", "aria-label": `Remove ${name}` }),
  ];
}

// Ask and remove a container. Return whether it was removed.
export function remove(container, isRunning) {
  const name = nameOf(container);
  return ask({
    title: `Remove ${name}?`,
    content: element("p", {}, isRunning
      ? "It is running. It will be killed, and what it wrote outside of volumes is lost."
      : "What it wrote outside of volumes is lost."),
    action: "Remove",
    isDangerous: true,
    run: async () => {
      await send("DELETE", path`/containers/${container.Id}`, { query: { force: isRunning ? 1 : 0 } });
      tell(`${name} removed`);
      return true;
    },
  });
}
