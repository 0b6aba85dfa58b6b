// Sizes, times and short identifiers as people read them.

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];
const SPANS = [["year", 31536000], ["month", 2592000], ["week", 604800], ["day", 86400], ["hour", 3600], ["minute", 60]];

// Return a number of bytes with three digits and a unit.
export function size(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit ? Number(value.toPrecision(3)) : value} ${UNITS[unit]}`;
}

// Return how long ago a time is, in seconds since 1970. Not by Intl: loading its words takes longer than the first page.
export function ago(seconds) {
  const passed = Math.max(0, Date.now() / 1000 - seconds);
  const [name, length] = SPANS.find(([, span]) => passed >= span) ?? ["second", 1];
  return `${count(Math.round(passed / length), name)} ago`;
}

// Return the first twelve digits of an identifier.
export function short(identifier) {
  return identifier.replace(/^sha256:/, "").slice(0, 12);
}

// Return a share of one as a percentage.
export function percent(share) {
  return `${(share * 100).toFixed(1)} %`;
}

// Return a number with its noun: "1 file", "2 files".
export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
