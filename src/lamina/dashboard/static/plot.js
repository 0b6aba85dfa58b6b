// A plot of values over time, by uPlot. Screen readers get the newest values from the figures above the plots.

import uPlot from "./vendor/uplot/uPlot.esm.js";

import { element, useStyleSheet } from "./dom.js";

const POINTS = 300;
const HEIGHT = 180;
const STROKES = ["--accent", "--warn"];

await useStyleSheet("vendor/uplot/uPlot.min.css");

export class Plot {
  // `names` are the names of the lines, `format(value)` writes a value.
  constructor(title, names, format) {
    this.data = [[], ...names.map(() => [])];
    this.canvas = element("div", { "aria-hidden": "true" });
    this.element = element("figure", {}, element("figcaption", {}, title, names.length > 1 && `: ${names.join(" and ")}`), this.canvas);
    this.make = () => new uPlot(options(names, format, this.canvas.clientWidth), this.data, this.canvas);
    this.observer = new ResizeObserver(() => this.plot?.setSize({ width: this.canvas.clientWidth, height: HEIGHT }));
    this.observer.observe(this.canvas);
  }

  // Add the values of one moment, in seconds since 1970.
  add(time, values) {
    [time, ...values].forEach((value, index) => {
      this.data[index].push(value);
      this.data[index].splice(0, this.data[index].length - POINTS);
    });
    this.plot ??= this.make();
    this.plot.setData(this.data);
  }

  close() {
    this.observer.disconnect();
    this.plot?.destroy();
  }
}

function options(names, format, width) {
  const styles = getComputedStyle(document.documentElement);
  const colour = (name) => styles.getPropertyValue(name).trim();
  const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (plot, low, high) => [0, Math.max(high * 1.1, 1)] } },
    axes: [axis, { ...axis, size: 80, values: (plot, values) => values.map(format) }],
    series: [{}, ...names.map((name, index) => ({ label: name, stroke: colour(STROKES[index]), width: 2 }))],
  };
}
