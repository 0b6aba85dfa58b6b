// How an image differs from another one: values, packages, files and the lines of small texts.

import { get, path } from "../api.js";
import { element, field, fill } from "../dom.js";
import { count } from "../format.js";
import { namesOf, showFrame, titleOf } from "../image_frame.js";
import { attempt } from "../messages.js";
import { Table } from "../table.js";

export async function show(page) {
  const image = await showFrame(page, "compare");
  const images = await get("/images/json", {}, page.signal);
  const names = images.flatMap(namesOf);
  const list = element("datalist", { id: "image-names" }, names.map((name) => element("option", { value: name })));
  const other = field("With the image", { type: "text", list: "image-names", required: true, autocomplete: "off", value: page.query.get("with") ?? "" });
  const result = element("div", { class: "result" });
  const form = element("form", { class: "tools" }, other.label, list, element("button", { type: "submit", class: "primary" }, "Show differences"));
  const compare = () => attempt(async () => {
    const wanted = other.control.value.trim();
    fill(result, element("p", { role: "status" }, "Comparing …"));
    const difference = await get(path`/images/${image.Id}/explorer/compare`, { with: wanted }, page.signal);
    fill(result, view(difference, titleOf(image), wanted));
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    compare();
  });
  page.main.append(form, result);
  if (other.control.value) {
    await compare();
  }
}

function view(difference, before, after) {
  const { Config, Packages, Files, Omitted } = difference;
  if (!Config.length && !Packages.length && !Files.length) {
    return element("p", { role: "status" }, `${before} and ${after} are the same.`);
  }
  return [
    element("p", { role: "status" }, `From ${before} to ${after}: ${count(Config.length, "value")}, ${count(Packages.length, "package")} and ${count(Files.length + Omitted, "file")} differ.`),
    Config.length > 0 && [element("h2", {}, "Values"), valueTable("values", Config.map((change) => [change.Name, change.Before, change.After]))],
    Packages.length > 0 && [element("h2", {}, "Packages"), valueTable("packages", Packages.map((change) => [`${change.Kind} ${change.Name}`, change.Before, change.After]))],
    Files.length > 0 && [element("h2", {}, "Files"), fileTable(Files)],
  ];
}

function valueTable(label, rows) {
  const table = new Table({
    label,
    key: ([name]) => name,
    text: (row) => row.join(" "),
    columns: [
      { title: "Name", cell: ([name]) => name, sort: ([name]) => name },
      { title: "Before", cell: ([, before]) => before ?? "not there" },
      { title: "After", cell: ([, , after]) => after ?? "not there" },
    ],
  });
  table.update(rows);
  return table.element;
}

function fileTable(files) {
  const table = new Table({
    label: "files",
    key: (file) => file.Path,
    text: (file) => file.Path,
    columns: [
      { title: "Path", cell: (file) => file.Path, sort: (file) => file.Path },
      { title: "Change", cell: (file) => [file.Change, file.What.length > 0 && `: ${file.What.join(", ")}`], sort: (file) => file.Change },
      { title: "Lines", cell: (file) => file.Text && element("details", {}, element("summary", {}, "Show"), element("pre", { class: "view", tabindex: "0" }, file.Text)) },
    ],
  });
  table.update(files);
  return table.element;
}
