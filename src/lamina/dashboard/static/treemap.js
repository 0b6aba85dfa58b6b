// A picture of folders as nested rectangles, as large as what is in them (squarified treemaps: Bruls, Huizing, van Wijk).

import { percent, size } from "./format.js";
import { shape, words } from "./svg.js";

const WIDTH = 1000;
const HEIGHT = 480;
const HEAD = 16; // room for a folder's name
const SMALLEST = 3; // rectangles that are narrower are left out
const LABEL = 24; // width below which a rectangle has no label

// Return a drawing of a weight of the API. `choose(path)` is called for a rectangle that is clicked.
export function treemap(weight, choose) {
  const drawing = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "treemap", "aria-hidden": "true" });
  drawing.append(...draw(weight, "", { x: 0, y: 0, width: WIDTH, height: HEIGHT }));
  drawing.addEventListener("click", (event) => {
    const place = event.target.closest("[data-path]")?.dataset.path;
    if (place !== undefined) {
      choose(place);
    }
  });
  return drawing;
}

// Return the heaviest folders and files as rows of a table, for those who cannot see the drawing.
export function heaviest(weight, count) {
  const rows = [];
  const todo = [["", weight]];
  while (todo.length) {
    const [folder, { Children: children }] = todo.pop();
    for (const child of children) {
      const path = `${folder}/${child.Name}`;
      rows.push({ path, size: child.Size, hidden: child.Hidden, isDirectory: child.IsDirectory });
      todo.push([path, child]);
    }
  }
  return rows.sort((one, other) => other.size - one.size).slice(0, count);
}

function draw(weight, path, area) {
  const wasted = weight.Size ? weight.Hidden / weight.Size : 0;
  const tone = wasted > 0.5 ? "wasted" : wasted > 0 ? "partly" : "needed";
  const whole = path || "/";
  const share = weight.Hidden ? `, ${percent(wasted)} hidden by later layers` : "";
  const rectangle = shape("rect", { class: tone, x: area.x, y: area.y, width: area.width, height: area.height });
  const hint = `${whole}: ${size(weight.Size)}${share}`;
  const group = shape("g", { "data-path": whole, hint }, rectangle, label(weight.Name || "/", area));
  const inner = { x: area.x + 2, y: area.y + HEAD, width: area.width - 4, height: area.height - HEAD - 2 };
  if (!weight.Children.length || inner.width < 12 || inner.height < 12) {
    return [group];
  }
  const areas = squarify(weight.Children.map((child) => child.Size), weight.Size, inner);
  const nested = weight.Children.flatMap((child, index) => {
    const place = areas[index];
    return place && place.width >= SMALLEST && place.height >= SMALLEST ? draw(child, `${path}/${child.Name}`, place) : [];
  });
  return [group, ...nested];
}

function label(name, area) {
  const room = area.width - 6;
  return room < LABEL || area.height < HEAD ? null : words(name, area.x + 3, area.y + 12, room);
}

// Return a rectangle for each size, in order. The sizes fall; together they may be less than `whole`.
function squarify(sizes, whole, area) {
  const scale = (area.width * area.height) / whole;
  const places = [];
  let rest = { ...area };
  let start = 0;
  while (start < sizes.length) {
    const side = Math.min(rest.width, rest.height);
    let end = start + 1;
    while (end < sizes.length && worst(sizes.slice(start, end + 1), scale, side) <= worst(sizes.slice(start, end), scale, side)) {
      end += 1;
    }
    rest = layRow(sizes.slice(start, end), scale, rest, places);
    start = end;
  }
  return places;
}

// Return the worst proportion of the rectangles of a row.
function worst(sizes, scale, side) {
  const sum = sizes.reduce((total, value) => total + value, 0) * scale;
  const [largest, smallest] = [sizes[0] * scale, sizes.at(-1) * scale];
  return Math.max((side * side * largest) / (sum * sum), (sum * sum) / (side * side * smallest));
}

function layRow(sizes, scale, rest, places) {
  const sum = sizes.reduce((total, value) => total + value, 0) * scale;
  const isUpright = rest.width >= rest.height;
  const side = isUpright ? rest.height : rest.width;
  const thickness = side > 0 ? sum / side : 0;
  let offset = 0;
  for (const value of sizes) {
    const length = thickness > 0 ? (value * scale) / thickness : 0;
    places.push(isUpright
      ? { x: rest.x, y: rest.y + offset, width: thickness, height: length }
      : { x: rest.x + offset, y: rest.y, width: length, height: thickness });
    offset += length;
  }
  return isUpright
    ? { x: rest.x + thickness, y: rest.y, width: rest.width - thickness, height: rest.height }
    : { x: rest.x, y: rest.y + thickness, width: rest.width, height: rest.height - thickness };
}
