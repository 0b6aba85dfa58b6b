"""Word expansion: quotes, escapes and `$name`, `${name…}` in the arguments of instructions.

Rule: Dockerfile reference, "Environment replacement", as BuildKit's shell lexer does it: `${name:-word}`, `:+`, `:?`,
`-`, `+`, `?`, `#`, `##`, `%`, `%%`, `/`, `//`. Names that are not set give the empty string.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lamina.dockerfile.position import Problem
from lamina.dockerfile.shellpattern import LARGEST, replaced, without_prefix, without_suffix
from lamina.dockerfile.split import SPACES

_SPECIAL_PARAMETERS = "@*#?-$!0"

DEEPEST = 100  # levels of ${…} inside each other


@dataclass(frozen=True, slots=True)
class Expanded:
    """An expanded word, the words it splits into at unquoted white space, and the names that are set and unset."""

    text: str
    words: tuple[str, ...]
    found: frozenset[str]
    missing: frozenset[str]


@dataclass(frozen=True, slots=True)
class Lexer:
    """Expands words. `escape` is the escape character of the file.

    `raw_quotes` keeps quotation marks and `raw_escapes` keeps escape characters in the result; `keep_quotes` gives
    quotation marks no meaning at all (bodies of heredocs); `skip_unset` leaves references to unset names as written.
    """

    escape: str = "\\"
    raw_quotes: bool = False
    raw_escapes: bool = False
    keep_quotes: bool = False
    skip_unset: bool = False

    def process(self, word: str, env: Mapping[str, str]) -> Expanded:
        """Expand `word` with the values in `env`. Raise Problem for a syntax error or an unset `${name:?}`."""
        run = _Run(self, word, env, self.raw_escapes)
        text, words = run.until("")
        return Expanded(text, tuple(words), frozenset(run.found), frozenset(run.missing))

    def expand(self, word: str, env: Mapping[str, str]) -> str:
        """Expand `word` and return the text alone."""
        return self.process(word, env).text

    def words(self, word: str, env: Mapping[str, str]) -> tuple[str, ...]:
        """Expand `word` and return the words alone."""
        return self.process(word, env).words


@dataclass(slots=True)
class _Words:
    """Collects words: unquoted white space ends one, quoted text never does."""

    done: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)

    def plain(self, text: str) -> None:
        for char in text:
            if char not in SPACES:
                self.current.append(char)
            elif self.current:
                self.end()

    def quoted(self, text: str) -> None:
        self.current.append(text)

    def end(self) -> list[str]:
        word = "".join(self.current)
        if word:
            self.done.append(word)
        self.current.clear()
        return self.done


@dataclass(slots=True)
class _Run:
    """One pass over one word."""

    lexer: Lexer
    source: str
    env: Mapping[str, str]
    raw_escapes: bool
    at: int = 0
    found: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    taken: int = 0  # characters that values have put in
    depth: int = 0

    def peek(self) -> str:
        return self.source[self.at : self.at + 1]

    def take(self) -> str:
        char = self.peek()
        self.at += len(char)
        return char

    def until(self, stop: str, raw_escapes: bool | None = None) -> tuple[str, list[str]]:
        """Expand up to the character `stop`, or to the end where `stop` is empty."""
        before, self.raw_escapes = self.raw_escapes, self.raw_escapes if raw_escapes is None else raw_escapes
        result: list[str] = []
        words = _Words()
        while char := self.peek():
            if char == stop:
                break
            self._step(char, result, words)
        self.raw_escapes = before
        if stop and not self.take():
            raise Problem(f"syntax error: missing '{stop}' in {self.source!r}", f"Close the expression with {stop}.")
        return "".join(result), words.end()

    def _step(self, char: str, result: list[str], words: _Words) -> None:
        if char == "$":
            text = self._dollar()
            words.plain(text)
        elif char == "'" and not self.lexer.keep_quotes:
            text = self._single_quoted()
            words.quoted(text)
        elif char == '"' and not self.lexer.keep_quotes:
            text = self._double_quoted()
            words.quoted(text)
        elif char == "<":
            text = self._heredoc_mark()
            words.quoted(text)
        elif char == self.lexer.escape:
            text = self._escaped()
            words.quoted(text)
        else:
            text = self.take()
            words.plain(text)
        result.append(text)

    def _escaped(self) -> str:
        mark = self.take()
        char = self.take()
        return mark + char if self.raw_escapes else char

    def _heredoc_mark(self) -> str:
        self.take()
        if self.peek() != "<":
            return "<"
        text = "<" + self.take()
        while self.peek() and self.peek() in "\t\r ":
            text += self.take()
        return text

    def _single_quoted(self) -> str:
        quote = self.take()
        end = self.source.find("'", self.at)
        if end < 0:
            raise Problem("unexpected end of statement while looking for matching single-quote", "Add the closing '.")
        text = self.source[self.at : end]
        self.at = end + 1
        return f"{quote}{text}{quote}" if self.lexer.raw_quotes else text

    def _double_quoted(self) -> str:
        quote = self.take()
        result: list[str] = []
        while (char := self.peek()) != '"':
            if not char:
                raise Problem(
                    "unexpected end of statement while looking for matching double-quote", 'Add the closing ".'
                )
            result.append(self._dollar() if char == "$" else self._inside_quotes())
        self.take()
        text = "".join(result)
        return f"{quote}{text}{quote}" if self.lexer.raw_quotes else text

    def _inside_quotes(self) -> str:
        char = self.take()
        if char != self.lexer.escape:
            return char
        following = self.peek()
        mark = char if self.raw_escapes else ""
        if following and following in ('"', "$", self.lexer.escape):
            return mark + self.take()
        return mark + char if following else mark

    def _dollar(self) -> str:
        self.take()
        if self.peek() != "{":
            name = self._name()
            value = self._value(name) if name else "$"
            return f"${name}" if value is None and self.lexer.skip_unset else value or ""
        self.take()
        if not self.peek():
            raise Problem("syntax error: missing '}'", "Close the expression with }.")
        if self.peek() in "{}:":
            raise Problem("syntax error: bad substitution", "Write ${NAME} or ${NAME:-default}.")
        if self.depth == DEEPEST:
            raise Problem(f"expressions lie more than {DEEPEST} levels deep in each other", "Split the word.")
        self.depth += 1
        text = self._braced(self._name())
        self.depth -= 1
        return text

    def _name(self) -> str:
        start = self.at
        first = self.peek()
        if first.isdigit():
            while self.peek().isdigit():
                self.at += 1
        elif first and first in _SPECIAL_PARAMETERS:
            self.at += 1
        else:
            while (char := self.peek()) and (char.isalnum() or char == "_"):
                self.at += 1
        return self.source[start : self.at]

    def _value(self, name: str) -> str | None:
        value = self.env.get(name)
        (self.missing if value is None else self.found).add(name)
        self._grow(len(value or ""), name)
        return value

    def _grow(self, size: int, name: str) -> None:
        self.taken += size
        if self.taken > LARGEST:
            raise Problem(f"a word is larger than {LARGEST} characters once {name} is put in", "Use shorter values.")

    def _braced(self, name: str) -> str:
        operator = self.take()
        if operator == "}":
            value = self._value(name)
            return f"${{{name}}}" if value is None and self.lexer.skip_unset else value or ""
        if operator == "/":
            return self._substitution(name)
        empty_is_unset = operator == ":"
        if empty_is_unset:
            operator = self.take()
        modifier = (":" if empty_is_unset else "") + operator
        if operator not in tuple("+-?#%") or (empty_is_unset and operator in "#%"):
            raise Problem(
                f"unsupported modifier ({modifier}) in substitution", "Known are :- :+ :? - + ? # ## % %% / //."
            )
        word, _ = self.until("}", raw_escapes=operator in "#%")
        value = self._value(name)
        if value is None and self.lexer.skip_unset:
            return f"${{{name}{modifier}{word}}}"
        if operator in "#%":
            return _trimmed(operator, word, value or "")
        return _chosen(name, operator, word, value, empty_is_unset)

    def _substitution(self, name: str) -> str:
        everywhere = self.peek() == "/"
        if everywhere:
            self.take()
        pattern, _ = self.until("/", raw_escapes=True)
        text, _ = self.until("}", raw_escapes=True)
        value = self._value(name)
        if value is None and self.lexer.skip_unset:
            return f"${{{name}/{'/' if everywhere else ''}{pattern}/{text}}}"
        result = replaced(value or "", pattern, text, everywhere=everywhere)
        self._grow(len(result), name)
        return result


def _trimmed(operator: str, pattern: str, value: str) -> str:
    longest = pattern.startswith(operator)
    pattern = pattern[1:] if longest else pattern
    trim = without_prefix if operator == "#" else without_suffix
    return trim(value, pattern, longest=longest)


def _chosen(name: str, operator: str, word: str, value: str | None, empty_is_unset: bool) -> str:
    has_value = value is not None and not (empty_is_unset and value == "")
    if operator == "+":
        return word if has_value else ""
    if has_value:
        return value or ""
    if operator == "-":
        return word
    default = "is not allowed to be unset" if value is None else "is not allowed to be empty"
    raise Problem(f"{name}: {word or default}", f"Give {name} a value, for example with --build-arg {name}=…")
