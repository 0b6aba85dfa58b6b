// Kinds and permissions of files as `ls -l` writes them.

const LETTERS = { directory: "d", symlink: "l", char: "c", block: "b", fifo: "p", socket: "s" };

// Return the ten letters for a file's state.
export function modeText(state) {
  const mode = state.Mode ?? 0;
  const bits = [..."rwxrwxrwx"].map((letter, index) => (mode & (0o400 >> index) ? letter : "-"));
  [[0o4000, 2, "s"], [0o2000, 5, "s"], [0o1000, 8, "t"]].forEach(([bit, index, letter]) => {
    if (mode & bit) {
      bits[index] = bits[index] === "x" ? letter : letter.toUpperCase();
    }
  });
  return (LETTERS[state.Type] ?? "-") + bits.join("");
}
