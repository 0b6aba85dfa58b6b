// How long steps and builds took.

// Return seconds as people read them.
export function duration(seconds) {
  if (seconds >= 60) {
    return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  }
  return seconds >= 1 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds * 1000)} ms`;
}
