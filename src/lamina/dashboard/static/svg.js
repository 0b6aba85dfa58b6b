// Drawings in SVG. Each has a name for screen readers, and the page says the same in a table or list beside it.

import { append, printable, useStyleSheet } from "./dom.js";

await useStyleSheet("drawings.css");

const NAMESPACE = "http://www.w3.org/2000/svg";

// Return a new shape. Attributes that are null or undefined are left out. A `hint` is what a pointer on it shows.
export function shape(name, { hint, ...attributes } = {}, ...children) {
  const drawn = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) {
      drawn.setAttribute(key, value);
    }
  }
  if (hint) {
    append(drawn, shape("title", {}, hint));
  }
  append(drawn, children);
  return drawn;
}

// Return a drawing of `width` by `height`. It keeps its size, so whoever shows a wide one lets it scroll.
export function drawing(label, width, height, ...children) {
  return shape("svg", {
    class: "drawing", role: "img", "aria-label": printable(label), width, height, viewBox: `0 0 ${width} ${height}`,
  }, ...children);
}

// Return a text at a place, cut to about `width`. A pointer on it shows the whole.
export function words(text, x, y, width, attributes = {}) {
  const most = Math.max(1, Math.floor(width / LETTER));
  const whole = printable(text);
  const isCut = whole.length > most;
  return shape("text", { x, y, hint: isCut ? whole : null, ...attributes }, isCut ? `${whole.slice(0, most - 1)}…` : whole);
}

const LETTER = 7.2; // pixels of a letter of the drawings' font, on average
