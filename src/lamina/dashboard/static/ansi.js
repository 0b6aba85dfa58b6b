// Colours of terminals in the lines of a log. Every other escape sequence is left out.

import { element } from "./dom.js";

// Control sequences, operating system commands and the like (ECMA-48), up to the end of the line at most.
const ESCAPE = /\u001b\[([0-9;:]*)([\u0020-\u002f]*[\u0040-\u007e])|\u001b[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)?|\u001b[\u0020-\u002f]*[\u0030-\u007e]/g;
const NAMES = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

// Turns lines into elements. A colour lasts until it is switched off, over several lines.
export class Painter {
  constructor() {
    this.colour = "";
    this.isBold = false;
  }

  // Return the pieces of a line, as spans with classes for the colours.
  paint(line) {
    const pieces = [];
    let end = 0;
    for (const match of line.matchAll(ESCAPE)) {
      this.add(pieces, line.slice(end, match.index));
      if (match[2] === "m") {
        this.set(match[1].split(/[;:]/).map(Number));
      }
      end = match.index + match[0].length;
    }
    this.add(pieces, line.slice(end));
    return pieces;
  }

  add(pieces, text) {
    if (text) {
      const classes = [this.colour && `ansi-${this.colour}`, this.isBold && "ansi-bold"].filter(Boolean);
      pieces.push(classes.length ? element("span", { class: classes.join(" ") }, text) : text);
    }
  }

  set(codes) {
    while (codes.length) {
      const code = codes.shift();
      if (code === 0) {
        this.colour = "";
        this.isBold = false;
      } else if (code === 1 || code === 22) {
        this.isBold = code === 1;
      } else if (code === 39) {
        this.colour = "";
      } else if (code === 38) {
        this.colour = extended(codes);
      } else if (code === 48) {
        extended(codes);
      } else {
        this.colour = NAMES[code >= 90 ? code - 90 : code - 30] ?? this.colour;
      }
    }
  }
}

// Return the colour that is nearest to one of 256, or to a mix of red, green and blue, and take it from the codes.
function extended(codes) {
  const kind = codes.shift();
  if (kind === 5) {
    const number = codes.shift();
    if (number < 16) {
      return NAMES[number % 8];
    }
    if (number >= 232) {
      return number < 244 ? "black" : "white";
    }
    const cube = number - 16;
    return nearest([Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map((level) => level * 51));
  }
  return kind === 2 ? nearest(codes.splice(0, 3)) : "";
}

function nearest(levels) {
  return NAMES[levels.reduce((sum, level, index) => sum + (level > 127 ? 1 << index : 0), 0)];
}
