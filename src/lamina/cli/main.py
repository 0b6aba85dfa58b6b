"""The console script: runs a command, and turns what went wrong into words on stderr and an exit code."""

from __future__ import annotations

import os
import sys

from lamina.cli.parsing.errors import WrongFlag, WrongUsage
from lamina.cli.program import run_command
from lamina.cli.terminal.screen import guard_terminals, quoted
from lamina.errors import Cancelled, CommandFailed, LaminaError, NotModified
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

USAGE = 125  # what Docker's users get for a wrong flag; unknown commands and too few or many arguments are 1
NOBODY_READS = 141  # 128 + SIGPIPE, as the shell has it


def main() -> None:
    """Run the process's own command line, and exit."""
    guard_terminals()
    if "_LAMINA_COMPLETE" in os.environ:
        from lamina.cli.parsing.completion import answer_shell

        sys.exit(answer_shell(os.environ))
    _end(run(sys.argv[1:]))


def _end(code: int) -> NoReturn:
    """End the process. Without threads it ends at once: freeing every object takes a tenth of a list's time."""
    if "threading" not in sys.modules:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except OSError:
            sys.exit(code)  # the interpreter says that it cannot write
        os._exit(code)
    sys.exit(code)


def run(args: Sequence[str]) -> int:
    """Run `lamina` with `args` and return the exit code. Errors are printed to stderr, never as a traceback."""
    try:
        result = run_command(_helped(args))
        sys.stdout.flush()
    except WrongUsage as error:
        return _say(str(error), f"See '{error.path} --help'", USAGE if isinstance(error, WrongFlag) else 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter complains about its own flush
        return NOBODY_READS
    except LaminaError as error:
        return _failed(error)
    except OSError as error:
        return _system_error(error)
    except Exception as error:  # no traceback reaches a user who did not ask
        _show_origin(error)
        return _say(f"a bug in lamina: {type(error).__name__}: {error}", "Run it again with -D to see where", 1)
    return result if isinstance(result, int) else 0


def _system_error(error: OSError) -> int:
    if isinstance(error, FileNotFoundError) and not _directory_is_there():
        return _say("the current directory does not exist any more", "Change to another one", 1)
    name = f"{error.filename}: " if error.filename else ""
    return _say(f"{name}{error.strerror or error}", None, 1)


def _directory_is_there() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def _helped(args: Sequence[str]) -> list[str]:
    """Turn `help COMMAND` into `COMMAND --help`, as docker does."""
    return [*args[1:], "--help"] if args and args[0] == "help" else list(args)


def _failed(error: LaminaError) -> int:
    _show_origin(error)
    if isinstance(error, NotModified):
        return 0
    message = f"Error response from daemon: {error.message}" if error.facts.get("from_daemon") else error.message
    code = 1
    if isinstance(error, CommandFailed):
        code = int(error.facts.get("exit_code", 1))
    elif isinstance(error, Cancelled):
        code = 130
    return _say(message, error.advice, int(error.facts.get("cli_exit", code)))


def _show_origin(error: Exception) -> None:
    if "--debug" in sys.argv or "-D" in sys.argv[1:2]:
        import traceback

        traceback.print_exception(error)


def _say(message: str, advice: str | None, code: int) -> int:
    sys.stdout.flush()
    message, advice = quoted(message), quoted(advice or "")
    print(message if message.startswith("Error response") else f"lamina: {message}", file=sys.stderr)
    if advice:
        print(advice if advice.endswith((".", "?")) else f"{advice}.", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
