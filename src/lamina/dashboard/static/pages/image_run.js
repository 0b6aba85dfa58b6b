// A container from an image, with the flags that people use most.

import { get, path, send } from "../api.js";
import { element, field, place } from "../dom.js";
import { titleOf } from "../image_frame.js";
import { attempt } from "../messages.js";
import { words } from "../words.js";

const RESTART = ["no", "on-failure", "unless-stopped", "always"];

export async function show(page) {
  const image = await get(path`/images/${page.parameters.id}/json`, {}, page.signal);
  page.title(`Run ${titleOf(image)}`);
  const networks = await get("/networks", {}, page.signal);
  const fields = fieldsOf(image, networks.map((network) => network.Name));
  const form = element("form", { class: "sheet" }, Object.values(fields).map(({ label }) => label),
    element("div", { class: "choices" }, element("button", { type: "submit", class: "primary" }, "Run")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(() => run(image, fields));
  });
  page.main.append(form);
}

function fieldsOf(image, networks) {
  const texts = { type: "text", autocomplete: "off" };
  const choices = (values, chosen) => (choice) => choice.control.append(
    ...values.map((value) => element("option", { value, selected: value === chosen }, value)));
  const fields = {
    name: field("Name", texts),
    command: field("Command (empty for the image's)", { ...texts, placeholder: (image.Config?.Cmd ?? []).join(" ") }),
    ports: field("Ports, one a line: 8080:80 or 127.0.0.1:8080:80/tcp", { rows: 2 }, "textarea"),
    environment: field("Environment, one a line: NAME=value", { rows: 3 }, "textarea"),
    volumes: field("Volumes, one a line: data:/data or /host/path:/path:ro", { rows: 2 }, "textarea"),
    network: field("Network", {}, "select"),
    restart: field("Restart", {}, "select"),
    memory: field("Memory in MB (empty for no limit)", { type: "number", min: 6 }),
    cpus: field("Processors (empty for no limit)", { type: "number", min: 0.01, step: 0.01 }),
    user: field("User", texts),
    workdir: field("Folder to start in", texts),
    readOnly: field("Read-only root file system", { type: "checkbox" }),
    init: field("Run an init in it", { type: "checkbox" }),
    remove: field("Remove it when it ends", { type: "checkbox" }),
  };
  choices(networks, "bridge")(fields.network);
  choices(RESTART, "no")(fields.restart);
  return fields;
}

async function run(image, fields) {
  const values = Object.fromEntries(Object.entries(fields).map(([name, { control }]) =>
    [name, control.type === "checkbox" ? control.checked : control.value.trim()]));
  const { Id: id } = await send("POST", "/containers/create", { query: { name: values.name }, body: request(image, values) });
  await send("POST", path`/containers/${id}/start`);
  location.hash = place("containers", id, "logs");
}

// Return the body of a create request.
export function request(image, values) {
  const ports = linesOf(values.ports).map(parsePort);
  return {
    Image: image.RepoTags?.[0] ?? image.Id,
    Cmd: values.command ? words(values.command) : undefined,
    Env: linesOf(values.environment),
    User: values.user,
    WorkingDir: values.workdir,
    ExposedPorts: Object.fromEntries(ports.map(({ inner }) => [inner, {}])),
    HostConfig: {
      Binds: linesOf(values.volumes),
      PortBindings: Object.fromEntries(ports.map(({ inner }) => [inner, ports.filter((port) => port.inner === inner).map(({ host }) => host)])),
      NetworkMode: values.network,
      RestartPolicy: { Name: values.restart },
      Memory: values.memory ? Number(values.memory) * 1e6 : 0,
      NanoCpus: values.cpus ? Math.round(Number(values.cpus) * 1e9) : 0,
      ReadonlyRootfs: values.readOnly,
      Init: values.init || undefined,
      AutoRemove: values.remove,
    },
  };
}

function linesOf(text) {
  return text.split("\n").map((line) => line.trim()).filter(Boolean);
}

// Return the port in the container and where it is published: "8080:80", "127.0.0.1:8080:80/udp" or "80".
function parsePort(text) {
  const match = /^(?:(?:(\[[0-9a-f:.]+\]|[0-9.]+):)?(\d*):)?(\d+)(?:\/(tcp|udp|sctp))?$/i.exec(text);
  if (!match) {
    throw new Error(`${text} is no port. Write 8080:80 or 127.0.0.1:8080:80/tcp.`);
  }
  const [, address = "", outer = "", inner, protocol = "tcp"] = match;
  return { inner: `${inner}/${protocol}`, host: { HostIp: address.replace(/[[\]]/g, ""), HostPort: outer } };
}
