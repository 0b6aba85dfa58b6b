// A build as drawings: the stages with what they are made from, and the steps over time.

import { duration } from "./build_times.js";
import { drawing, shape, words } from "./svg.js";

const BOX = { width: 190, height: 44, gapX: 60, gapY: 16 };
const BAR = { name: 330, width: 620, height: 20, most: 200 };

// Return the drawing of the stages: each stands right of those that it is made from.
export function drawStages(model) {
  const places = placeStages(model.stages);
  const columns = Math.max(...[...places.values()].map((place) => place.column)) + 1;
  const rows = Math.max(...[...places.values()].map((place) => place.row)) + 1;
  const at = ({ column, row }) => ({ x: 8 + column * (BOX.width + BOX.gapX), y: 8 + row * (BOX.height + BOX.gapY) });
  const boxes = model.stages.map((stage) => drawStage(stage, at(places.get(stage.key))));
  const arrows = model.stages.flatMap((stage) => stage.needs.filter((need) => places.has(need))
    .map((need) => drawArrow(at(places.get(need)), at(places.get(stage.key)))));
  return drawing("The stages and what they are made from. The list of steps says how each of them ended.",
    columns * (BOX.width + BOX.gapX), rows * (BOX.height + BOX.gapY) + 16, arrows, boxes);
}

function placeStages(stages) {
  const columns = new Map();
  const counts = new Map();
  const places = new Map();
  for (const stage of stages) {
    const column = Math.max(0, ...stage.needs.map((need) => (columns.get(need) ?? -1) + 1));
    columns.set(stage.key, column);
    const row = counts.get(column) ?? 0;
    counts.set(column, row + 1);
    places.set(stage.key, { column, row });
  }
  return places;
}

function drawStage(stage, { x, y }) {
  const ended = stage.steps.filter((step) => ["cached", "run"].includes(step.outcome)).length;
  return shape("g", {},
    shape("rect", { class: `box ${stateOf(stage)}`, x, y, width: BOX.width, height: BOX.height, rx: 5, hint: stage.title }),
    words(stage.title, x + 10, y + 19, BOX.width - 20),
    words(`${stateOf(stage)}, ${ended} of ${stage.steps.length} steps`, x + 10, y + 35, BOX.width - 20, { class: "small" }));
}

// Return how far a stage is, by its steps.
export function stateOf(stage) {
  const outcomes = new Set(stage.steps.map((step) => step.outcome));
  for (const outcome of ["failed", "running"]) {
    if (outcomes.has(outcome)) {
      return outcome;
    }
  }
  if (outcomes.has("waiting")) {
    return outcomes.size > 1 ? "running" : "waiting";
  }
  return outcomes.has("run") ? "run" : outcomes.has("cached") ? "cached" : "skipped";
}

function drawArrow(from, to) {
  const [x1, y1, x2, y2] = [from.x + BOX.width, from.y + BOX.height / 2, to.x, to.y + BOX.height / 2];
  const middle = (x1 + x2) / 2;
  return shape("path", { class: "arrow", d: `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2 - 5} ${y2}l-5 -4m5 4l-5 4` });
}

// Return the drawing of the steps over time: those that run at once stand above each other.
export function drawTimeline(model) {
  const { rows, total } = model.timeline();
  const shown = rows.slice(0, BAR.most);
  const height = 24 + shown.length * BAR.height;
  const x = (seconds) => BAR.name + (seconds / total) * BAR.width;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => [
    shape("line", { class: "tick", x1: x(share * total), y1: 16, x2: x(share * total), y2: height }),
    words(duration(share * total), x(share * total), 11, 80, { class: "small", "text-anchor": share === 1 ? "end" : "middle" }),
  ]);
  const bars = shown.map(({ step, begin, end }, index) => {
    const y = 22 + index * BAR.height;
    return [
      words(`${step.stage.title} ${step.index}: ${step.instruction}`, 4, y + 12, BAR.name - 12),
      shape("rect", {
        class: `bar ${step.outcome}`, x: x(begin), y, width: Math.max(3, x(end) - x(begin)), height: BAR.height - 6, rx: 2,
        hint: `${step.instruction}: ${step.outcome}, ${duration(end - begin)}`,
      }),
    ];
  });
  return drawing("The steps over time. The list of steps says the same.", BAR.name + BAR.width + 20, height, ticks, bars);
}
