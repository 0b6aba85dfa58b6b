"""Flags and arguments as Docker's users write them: click's commands, taught the habits of Go's pflag.

`--rm=false` and `-i=true` set a switch, `-e=A=B` gives a short flag its value behind `=`.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

from lamina.cli.session import Session
from lamina.cli.terminal.screen import quoted
from lamina.errors import InvalidInput, LaminaError
from lamina.formats.text import printable

FC = TypeVar("FC", bound=Callable[..., Any] | click.Command)

TRUE = ("1", "t", "T", "true", "TRUE", "True")
FALSE = ("0", "f", "F", "false", "FALSE", "False")


def parse_bool(text: str) -> bool:
    """Return the boolean that Go's strconv.ParseBool reads. Raise InvalidInput."""
    if text in TRUE or text in FALSE:
        return text in TRUE
    raise InvalidInput(f"{text!r} is not a boolean", advice="Write true or false")


class Command(click.Command):
    """A click command with pflag's habits and examples in its help.

    With `passes_on`, words from the first argument on are not parsed: they are the container's command.
    """

    def __init__(self, *args: Any, example: str = "", passes_on: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.context_settings = {"help_option_names": ["--help"]}  # -h is the host name's
        self.example = textwrap.dedent(example).strip("\n")
        self.allow_interspersed_args = not passes_on

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self._normalised(ctx, args))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.example:
            with formatter.section("Examples"):
                formatter.write("\n".join(f"  {line}" for line in self.example.splitlines()) + "\n")

    def _normalised(self, ctx: click.Context, args: Sequence[str]) -> list[str]:
        options = {
            name: option
            for option in self.get_params(ctx)
            if isinstance(option, click.Option)
            for name in option.opts + option.secondary_opts
        }
        result: list[str] = []
        rest = list(args)
        while rest:
            word = rest.pop(0)
            if word == "--" or word == "-" or not word.startswith("-"):
                result.append(word)
                if word == "--" or not self.allow_interspersed_args:
                    break
                continue
            result += _flag(word, options, ctx)
            if rest and _wants_value(word, options):
                result.append(rest.pop(0))
        return result + rest


def _flag(word: str, options: dict[str, click.Option], ctx: click.Context) -> list[str]:
    name, equals, value = word.partition("=")
    option = options.get(name)
    if not equals or option is None:
        return [word]
    if not option.is_flag:
        return [word] if name.startswith("--") else [name + value] if value else [name, value]
    try:
        is_on = parse_bool(value)
    except InvalidInput as error:
        raise click.BadParameter(error.message, ctx, option) from error
    if not is_on:
        return option.secondary_opts[:1]
    return [name]


def _wants_value(word: str, options: dict[str, click.Option]) -> bool:
    """Return whether the next word is the value of this flag: of `--name`, `-n`, or the last of `-itn`."""
    if word.startswith("--"):
        option = options.get(word)
        return option is not None and not option.is_flag and not option.count
    for position, letter in enumerate(word[1:], 1):
        option = options.get(f"-{letter}")
        if option is None:
            return False
        if not option.is_flag:
            return position == len(word) - 1
    return False


def local_command(
    example: str, *, passes_on: bool = False, name: str | None = None
) -> Callable[[Callable[..., Any]], Command]:
    """Return a decorator that makes a `Command` of a function."""
    return click.command(name, cls=Command, example=example, passes_on=passes_on)


def command(
    example: str, *, passes_on: bool = False, name: str | None = None
) -> Callable[[Callable[..., Any]], Command]:
    """Return a decorator that makes a `Command` of a function, whose first argument is the session."""
    make = local_command(example, passes_on=passes_on, name=name)
    return lambda function: make(click.pass_obj(function))


def many(*names: str, help: str, **more: Any) -> Callable[[FC], FC]:
    """Return an option that may be given many times. Its value is a tuple of texts."""
    return click.option(*names, multiple=True, help=help, **more)


def text(*names: str, help: str, default: str = "", **more: Any) -> Callable[[FC], FC]:
    """Return an option with one text."""
    return click.option(*names, default=default, help=help, **more)


def number(*names: str, help: str, default: int | None = None, **more: Any) -> Callable[[FC], FC]:
    """Return an option with a whole number."""
    return click.option(*names, type=int, default=default, help=help, **more)


def switch(*names: str, help: str, **more: Any) -> Callable[[FC], FC]:
    """Return an option that is on when it is given."""
    return click.option(*names, is_flag=True, help=help, **more)


def filters(pairs: Sequence[str]) -> dict[str, list[str]]:
    """Return the values of each filter, from `--filter name=value`. Raise InvalidInput for one without `=`."""
    values_by_name: dict[str, list[str]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InvalidInput(f"bad filter {pair!r}", advice="Write filters as name=value")
        values_by_name.setdefault(name.strip().lower(), []).append(value.strip())
    return values_by_name


def moment(text: str) -> str:
    """Return a time of `--since` or `--until` as the API takes it: Unix seconds with a fraction, or "" for "".

    The client parses it, because a time without a zone means the client's zone. Raise InvalidInput.
    """
    from lamina.formats.times import parse_moment  # `re` patterns that only two commands need

    return "{}.{:09d}".format(*divmod(parse_moment(text), 10**9)) if text else ""


filter_option = click.option("-f", "--filter", "filter_", multiple=True, metavar="KEY=VALUE", help="Show what matches")
FORMAT_HELP = "Print with a Go template, 'table TEMPLATE' or 'json'"
format_option = click.option("--format", "format_", default="", metavar="TEMPLATE", help=FORMAT_HELP)
short_format_option = click.option("-f", "--format", "format_", default="", metavar="TEMPLATE", help=FORMAT_HELP)


Names = Callable[[Session], Iterable[str]]
Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def _completer(names: Names) -> Completer:
    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        try:
            with Session(ctx.find_root().params) as session:
                if session.settings.is_default and not session.is_up:
                    return []  # pressing Tab must not start a daemon
                fitting = (name for name in names(session) if name.startswith(incomplete))
                return sorted(name for name in fitting if name == printable(name))  # the shell would show it
        except LaminaError:
            return []

    return complete


complete_containers = _completer(lambda session: [c.name for c in session.client.containers.list(all=True)])
complete_running = _completer(lambda session: [c.name for c in session.client.containers.list()])
complete_images = _completer(
    lambda session: [tag.removesuffix(":latest") for image in session.client.images.list() for tag in image.tags]
)
complete_volumes = _completer(lambda session: [volume.name for volume in session.client.volumes.list()])
complete_networks = _completer(lambda session: [network.name for network in session.client.networks.list()])


def for_each(names: Iterable[str], action: Callable[[str], object], *, forgive: type[LaminaError] | None = None) -> int:
    """Call `action` for each name and print its errors. Return the exit code; errors of kind `forgive` do not count."""
    code = 0
    for name in names:
        try:
            action(name)
        except LaminaError as error:
            sys.stdout.flush()
            prefix = "Error response from daemon: " if error.facts.get("from_daemon") else "lamina: "
            print(f"{prefix}{quoted(str(error))}", file=sys.stderr)
            code = code if forgive is not None and isinstance(error, forgive) else 1
    return code


def for_each_named(names: Iterable[str], action: Callable[[str], object]) -> int:
    """Call `action` for each name, and print each name that succeeded. See `for_each`."""

    def act(name: str) -> None:
        action(name)
        print(name)

    return for_each(names, act)
