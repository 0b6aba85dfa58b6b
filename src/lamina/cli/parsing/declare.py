"""What a command takes: its flags and arguments, declared by decorators above the function that it runs."""

from __future__ import annotations

from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:  # importing typing takes as long as starting Python
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, TypeVar

    from lamina.cli.session import Session

    Function = TypeVar("Function", bound=Callable[..., Any])
    Completer = Callable[[Session], Iterable[str]]
    Convert = Callable[[str], object]

_PENDING = "__lamina_parameters__"  # where a function keeps what its decorators declared, the last one first


class Option:
    """A flag.

    `names` set it and `negatives` clear it: `--init/--no-init`. A switch takes no value but `=true` and `=false`. Of
    several values the last one counts, unless `multiple` collects them. `bare` is the value of a flag that may stand
    without one; the value of an `attached` one follows `=` and is never the next word. The variable `envvar` of the
    environment holds a value for a flag that is not given. `complete` returns words for the shell to offer.
    """

    def __init__(
        self,
        declarations: Sequence[str],
        *,
        help: str,
        default: object = None,
        convert: Convert = str,
        metavar: str = "",
        is_switch: bool = False,
        multiple: bool = False,
        hidden: bool = False,
        bare: object = None,
        attached: bool = False,
        envvar: str = "",
        complete: Completer | None = None,
    ) -> None:
        words = [word for word in declarations if word.startswith("-")]
        self.names = tuple(word.partition("/")[0] for word in words)
        self.negatives = tuple(word.partition("/")[2] for word in words if "/" in word)
        self.name = next((word for word in declarations if not word.startswith("-")), "") or _identifier(self.names)
        self.help = help
        self.default = () if multiple else default
        self.convert = convert
        self.metavar = metavar or TYPE_NAMES.get(convert, "TEXT")
        self.is_switch = is_switch or bool(self.negatives)
        self.multiple = multiple
        self.hidden = hidden
        self.bare = bare
        self.attached = attached
        self.envvar = envvar
        self.complete = complete

    @property
    def label(self) -> str:
        """Return how errors name it."""
        return " / ".join(f"'{name}'" for name in self.names)


class Argument:
    """A word behind the flags, or with `many` all that are left, as a tuple."""

    def __init__(
        self,
        name: str,
        *,
        metavar: str = "",
        required: bool = True,
        many: bool = False,
        default: object = None,
        convert: Convert = str,
        complete: Completer | None = None,
    ) -> None:
        self.name = name
        self.metavar = metavar or _metavar(name, convert, required)
        self.required = required
        self.many = many
        self.default = () if many else default
        self.convert = convert
        self.complete = complete

    @property
    def label(self) -> str:
        """Return how errors name it."""
        return f"'{self.metavar}'"


Parameter = Option | Argument


class Command:
    """A function with its flags and arguments. `example` and the function's docstring are its help.

    With `passes_on`, words from the first argument on are not parsed: they are the container's command.
    `takes_session` tells that the function's first parameter is the Session.
    """

    def __init__(self, function: Callable[..., Any], example: str, passes_on: bool, takes_session: bool) -> None:
        self.function = function
        self.example = example
        self.passes_on = passes_on
        self.takes_session = takes_session
        parameters: list[Parameter] = getattr(function, _PENDING, [])[::-1]
        self.options = [item for item in parameters if isinstance(item, Option)]
        self.arguments = [item for item in parameters if isinstance(item, Argument)]
        self.help_names: tuple[str, ...] = ("--help",)  # -h is the host name's

    @property
    def help(self) -> str:
        """Return the paragraphs that describe the command."""
        return self.function.__doc__ or ""


def command(
    example: str, *, passes_on: bool = False, takes_session: bool = True
) -> Callable[[Callable[..., Any]], Command]:
    """Return a decorator that makes a `Command` of a function, whose first argument is the session."""
    return lambda function: Command(function, example, passes_on, takes_session)


def option(*declarations: str, **how: Any) -> Callable[[Function], Function]:
    """Declare a flag, by its names and the keywords of `Option`; a name without dashes is the function's parameter."""
    return _declare(Option(declarations, **how))


def argument(name: str, **how: Any) -> Callable[[Function], Function]:
    """Declare an argument by the keywords of `Argument`."""
    return _declare(Argument(name, **how))


def parse_bool(text: str) -> bool:
    """Return the boolean that Go's strconv.ParseBool reads. Raise ValueError."""
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise ValueError(f"{text!r} is not a boolean")


def integer(text: str) -> int:
    """Return a whole number. Raise ValueError."""
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a valid integer") from None


def decimal(text: str) -> float:
    """Return a number with a fraction. Raise ValueError."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a valid float") from None


class Choice:
    """Takes one of a few words. Calling it raises ValueError for others."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def __call__(self, text: str) -> str:
        if text in self.words:
            return text
        raise ValueError(f"{text!r} is not one of {', '.join(map(repr, self.words))}")


def _metavar(name: str, convert: Convert, required: bool) -> str:
    if isinstance(convert, Choice):
        return f"{{{'|'.join(convert.words)}}}"
    return name.upper() if required else f"[{name.upper()}]"


TYPE_NAMES: dict[object, str] = {integer: "INTEGER", decimal: "FLOAT", parse_bool: "BOOLEAN"}


def _declare(parameter: Parameter) -> Callable[[Function], Function]:
    def declare(function: Function) -> Function:
        function.__dict__.setdefault(_PENDING, []).append(parameter)
        return function

    return declare


def _identifier(names: Iterable[str]) -> str:
    """Return the first long name as the name of a parameter: "--no-cache" is no_cache."""
    ordered = sorted(names, key=lambda name: not name.startswith("--"))
    return ordered[0].lstrip("-").replace("-", "_").lower()
