"""Words of a command line as flags and arguments: the rules of Go's pflag, which Docker's users know."""

from __future__ import annotations

from typing import Any

import pytest

from lamina.cli.parsing.completion import offers
from lamina.cli.parsing.declare import Choice, Command, argument, command, integer, option, parse_bool
from lamina.cli.parsing.errors import HelpWanted, WrongFlag, WrongUsage
from lamina.cli.parsing.help import command_help
from lamina.cli.parsing.parse import parse
from lamina.cli.parsing.shells import SCRIPTS


@command("example x", takes_session=False)
@option("-a", "--all", is_switch=True, default=False, help="Everything")
@option("-n", "--last", convert=integer, default=-1, metavar="N", help="How many")
@option("-e", "--env", multiple=True, help="A variable")
@option("--init/--no-init", default=None, help="Run an init")
@option("--icc", convert=parse_bool, bare=True, help="Let them talk")
@option("--level", convert=Choice("low", "high"), help="How loud")
@option("--platform", default="", envvar="EXAMPLE_PLATFORM", help="A platform")
@option("--secret", default="", hidden=True, help="Not shown")
@argument("first")
@argument("others", many=True, required=False, metavar="[OTHER...]")
def example(**values: Any) -> None:
    """Do something with FIRST.

    A second paragraph, which is so long that it does not fit on one line of a terminal that is eighty columns wide.
    """


@command("passing x", passes_on=True, takes_session=False)
@option("-t", "--tty", is_switch=True, default=False, help="A terminal")
@argument("image")
@argument("arguments", many=True, required=False)
def passing(**values: Any) -> None:
    """Pass words on."""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-a"], {"all": True}),
        (["--all=false"], {"all": False}),
        (["-a", "-a=f"], {"all": False}),
        (["--last", "-5"], {"last": -5}),
        (["--last=5", "-n6"], {"last": 6}),
        (["-n=7"], {"last": 7}),
        (["-an8"], {"last": 8, "all": True}),
        (["-a=false", "-an=9"], {"last": 9, "all": True}),
        (["-e", "A=1", "-e=B=2", "--env=C=", "-eD"], {"env": ("A=1", "B=2", "C=", "D")}),
        (["-e", "-a"], {"env": ("-a",), "all": False}),
        (["--no-init"], {"init": False}),
        (["--init=false"], {"init": False}),
        (["--no-init=false"], {"init": True}),
        (["--icc"], {"icc": True, "others": ()}),
        (["--icc", "false"], {"icc": False, "others": ()}),
        (["--icc=0"], {"icc": False}),
        (["--level", "high"], {"level": "high"}),
        (["more", "-a", "words"], {"others": ("more", "words"), "all": True}),
        (["--", "-a"], {"others": ("-a",), "all": False}),
        (["-"], {"others": ("-",)}),
        ([], {"all": False, "last": -1, "env": (), "init": None, "icc": None, "level": None, "platform": "env/arch"}),
    ],
)
def test_words_become_values(words: list[str], expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE_PLATFORM", "env/arch")
    values = parse(example, ["x", *words])
    assert {name: values[name] for name in expected} == expected
    assert values["first"] == "x"


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (["--bogus", "x"], WrongFlag, "No such option '--bogus'"),
        (["--platforms", "x"], WrongFlag, "No such option '--platforms'. Did you mean '--platform'?"),
        (["--ini", "x"], WrongFlag, "No such option '--ini'. (Did you mean one of: '--icc', '--init', '--no-init'?)"),
        (["-az", "x"], WrongFlag, "No such option '-z'"),
        (["-n"], WrongFlag, "Option '-n' requires an argument"),
        (["-n", "five"], WrongFlag, "Invalid value for '-n' / '--last': 'five' is not a valid integer"),
        (["--all=perhaps"], WrongFlag, "Invalid value for '-a' / '--all': 'perhaps' is not a boolean"),
        (["--level=loud"], WrongFlag, "Invalid value for '--level': 'loud' is not one of 'low', 'high'"),
        ([], WrongUsage, "Missing argument 'FIRST'"),
    ],
)
def test_wrong_words_are_told(words: list[str], kind: type[WrongUsage], message: str) -> None:
    with pytest.raises(kind) as error:
        parse(example, words)
    assert (type(error.value), str(error.value)) == (kind, message)


def test_words_behind_the_first_argument_are_passed_on() -> None:
    values = parse(passing, ["-t", "image", "-t", "--", "--help"])
    assert values == {"tty": True, "image": "image", "arguments": ("-t", "--", "--help")}
    assert parse(passing, ["--", "-t"]) == {"tty": False, "image": "-t", "arguments": ()}


def test_help_is_shown_unless_a_flag_is_unknown() -> None:
    with pytest.raises(HelpWanted):
        parse(example, ["-n", "five", "--help"])
    with pytest.raises(WrongFlag):
        parse(example, ["--help", "--bogus"])


def test_help_is_wrapped_and_hides_what_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert (
        command_help(example, "lamina example")
        == """\
Usage: lamina example [OPTIONS] FIRST [OTHER...]

  Do something with FIRST.

  A second paragraph, which is so long that it does not fit on one line of a
  terminal that is eighty columns wide.

Options:
  -a, --all           Everything
  -n, --last N        How many
  -e, --env TEXT      A variable
  --init / --no-init  Run an init
  --icc BOOLEAN       Let them talk
  --level [low|high]  How loud
  --platform TEXT     A platform
  --help              Show this message and exit.

Examples:
  example x
"""
    )


@pytest.mark.parametrize(
    ("words", "typed", "expected"),
    [
        ([], "im", {"image", "images", "import"}),
        (["-D", "--host=x", "image"], "l", {"load", "ls"}),
        (["ps"], "--no", {"--no-trunc"}),
        (["completion"], "", {"bash", "zsh", "fish"}),
        (["daemon", "--log-level"], "w", {"warning"}),
        (["run", "base"], "--r", set()),
        (["nonsense"], "", set()),
        (["ps", "--bogus"], "-", set()),
        (["container"], "list", set()),
    ],
)
def test_the_shell_is_offered_what_may_stand_there(words: list[str], typed: str, expected: set[str]) -> None:
    assert {word for word, _ in offers(words, typed)} == expected


def test_every_shell_that_the_command_names_has_a_script() -> None:
    from lamina.cli.commands.system import completion

    assert isinstance(completion, Command)
    choice = completion.arguments[0].convert
    assert isinstance(choice, Choice)
    assert set(choice.words) == set(SCRIPTS)
