"""The root command and its groups: they list every command, and load the one that is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from lamina.cli.catalog import COMMANDS, GROUPS, names_in
from lamina.cli.session import Session

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

NOBODY_READS = 141  # 128 + SIGPIPE, as the shell has it
DESCRIPTION = "Builds, stores, ships and runs container images; speaks the Docker Engine API."


class Group(click.Group):
    """A group whose commands come from the catalog. `path` is "" for the root."""

    def __init__(self, path: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.path = path

    def list_commands(self, ctx: click.Context) -> list[str]:
        return names_in(self.path)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = f"{self.path} {cmd_name}" if self.path else cmd_name
        if not self.path and cmd_name in GROUPS:
            return Group(path=cmd_name, name=cmd_name, help=GROUPS[cmd_name], no_args_is_help=True)
        entry = COMMANDS.get(name)
        if entry is None:
            return None
        command = getattr(import_module(f"lamina.cli.commands.{entry.module}"), entry.name)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. If nobody reads its output, exit as if SIGPIPE had ended the process."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            ctx.exit(NOBODY_READS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command. If there is none, name the closest one or say what to use instead."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from lamina.cli.catalog import advice_on

            raise click.UsageError(f"{error.message.rstrip('.')}{advice_on(self.path, args[0])}", ctx) from error

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return names from the catalog, because completion must not load every command."""
        from click.shell_completion import CompletionItem

        prefix = f"{self.path} " if self.path else ""
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        listed = [name for name in names if prefix + name not in COMMANDS or not COMMANDS[prefix + name].hidden]
        own = click.Command.shell_complete(self, ctx, incomplete)
        return [CompletionItem(name) for name in listed] + own

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the lists of commands from the catalog, without loading any command."""
        names = self.list_commands(ctx)
        groups = [(name, GROUPS[name]) for name in names if not self.path and name in GROUPS]
        prefix = f"{self.path} " if self.path else ""
        entries = [(name, COMMANDS[prefix + name]) for name in names if prefix + name in COMMANDS]
        commands = [(name, entry.summary) for name, entry in entries if not entry.hidden]
        for title, rows in (("Management Commands", groups), ("Commands", commands)):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(f"\nRun '{ctx.command_path} COMMAND --help' for more on a command, with examples.\n")


def _version(ctx: click.Context, parameter: click.Parameter, is_given: bool) -> None:
    if is_given:
        from lamina import __version__

        print(f"lamina version {__version__}")
        ctx.exit(0)


@click.group(cls=Group, help=DESCRIPTION, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-H", "--host", "hosts", multiple=True, metavar="HOST", help="Daemon to talk to: unix://, tcp:// or ssh://"
)
@click.option("-c", "--context", default="", metavar="NAME", help="Context to use instead of the current one")
@click.option("--config", default="", metavar="DIR", help="Where config.json is (default ~/.docker)")
@click.option("-D", "--debug", is_flag=True, help="Show where an error came from")
@click.option("-l", "--log-level", default="info", metavar="LEVEL", help="Accepted for Docker's sake")
@click.option("--tls", is_flag=True, help="Use TLS; implied by --tlsverify")
@click.option("--tlscacert", default="", metavar="FILE", help="Trust certificates signed by this CA only")
@click.option("--tlscert", default="", metavar="FILE", help="TLS certificate of this client")
@click.option("--tlskey", default="", metavar="FILE", help="TLS key of this client")
@click.option("--tlsverify", is_flag=True, help="Use TLS and check the daemon's certificate")
@click.option(
    "-v",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Print the version and quit",
)
@click.pass_context
def program(ctx: click.Context, /, **flags: Any) -> None:
    """Pass the flags for the connection to the command, in a session."""
    ctx.obj = ctx.with_resource(Session(flags))
