"""lamina's own flags, and the way from the words of a command line to the command that they run."""

from __future__ import annotations

from lamina.cli.catalog import COMMANDS, GROUPS
from lamina.cli.parsing.declare import Command, option
from lamina.cli.parsing.errors import HelpWanted, WrongUsage
from lamina.cli.parsing.parse import parse, parse_flags
from lamina.cli.session import Session
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

DESCRIPTION = "Builds, stores, ships and runs container images; speaks the Docker Engine API."
NAME = "lamina"


@option("-H", "--host", "hosts", multiple=True, metavar="HOST", help="Daemon to talk to: unix://, tcp:// or ssh://")
@option("-c", "--context", default="", metavar="NAME", help="Context to use instead of the current one")
@option("--config", default="", metavar="DIR", help="Where config.json is (default ~/.docker)")
@option("-D", "--debug", is_switch=True, default=False, help="Show where an error came from")
@option("-l", "--log-level", default="info", metavar="LEVEL", help="Accepted for Docker's sake")
@option("--tls", is_switch=True, default=False, help="Use TLS; implied by --tlsverify")
@option("--tlscacert", default="", metavar="FILE", help="Trust certificates signed by this CA only")
@option("--tlscert", default="", metavar="FILE", help="TLS certificate of this client")
@option("--tlskey", default="", metavar="FILE", help="TLS key of this client")
@option("--tlsverify", is_switch=True, default=False, help="Use TLS and check the daemon's certificate")
@option("-v", "--version", is_switch=True, default=False, help="Print the version and quit")
def _program(**flags: Any) -> None:
    """Stand for lamina itself, which has flags like a command and runs others."""


PROGRAM = Command(_program, "", passes_on=True, takes_session=False)
_GROUP = Command(lambda: None, "", passes_on=True, takes_session=False)
PROGRAM.help_names = _GROUP.help_names = ("-h", "--help")


def run_command(words: Sequence[str]) -> object:
    """Run the command that `words` name, and return its result: an exit code, or anything else for 0.

    Raise WrongUsage, with the command's path, for a command line that is wrong, and what the command raises.
    """
    path = ""
    try:
        flags, words = parse_flags(PROGRAM, words)
        if flags["version"]:
            return _print_version()
        while words and f"{path} {words[0]}".lstrip() in GROUPS:
            path = f"{path} {words[0]}".lstrip()
            _, words = parse_flags(_GROUP, words[1:])
        if not words:
            raise HelpWanted(is_missing=True)
        path, words = _member(path, words[0]), words[1:]
        command = load(path)
        values = parse(command, words)
    except HelpWanted as wanted:
        return _print_help(path, wanted.is_missing)
    except WrongUsage as error:
        error.path = f"{NAME} {path}".rstrip()
        raise
    if not command.takes_session:
        return command.function(**values)
    with Session(flags) as session:
        return command.function(session, **values)


def load(path: str) -> Command:
    """Return the command at a path of the catalog, such as "image ls"."""
    entry = COMMANDS[path]
    module = __import__(f"lamina.cli.commands.{entry.module}", fromlist=[entry.name])  # importlib costs more
    command = getattr(module, entry.name)
    assert isinstance(command, Command)
    return command


def help_text(path: str) -> str:
    """Return the help of lamina for "", of a group, or of a command."""
    from lamina.cli.catalog import listed
    from lamina.cli.parsing.help import command_help, group_help, option_rows

    if path in COMMANDS:
        return command_help(load(path), f"{NAME} {path}")
    options = option_rows(_GROUP if path else PROGRAM)
    return group_help(f"{NAME} {path}".rstrip(), GROUPS.get(path, DESCRIPTION), options, listed(path))


def _member(group: str, name: str) -> str:
    """Return the path of a group's command. Raise WrongUsage where there is none, with the closest or other advice."""
    path = f"{group} {name}".lstrip()
    if path in COMMANDS:
        return path
    from lamina.cli.catalog import advice_on

    raise WrongUsage(f"No such command '{name}'{advice_on(group, name)}")


def _print_help(path: str, is_missing: bool) -> int:
    """Print help. Where a word was missing it is no output of the command: it goes to standard error."""
    import sys

    print(help_text(path), end="", file=sys.stderr if is_missing else sys.stdout)
    return 1 if is_missing else 0


def _print_version() -> int:
    from lamina import __version__

    print(f"lamina version {__version__}")
    return 0
