"""`lamina completion`: scripts that complete commands and flags in bash, zsh and fish."""

from __future__ import annotations

import click

from lamina.cli.arguments import command


@command("""
    eval "$(lamina completion bash)"
    lamina completion fish > ~/.config/fish/completions/lamina.fish
""")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, /, shell: str) -> None:
    """Print a completion script for your shell."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    print(found(ctx.find_root().command, {}, "lamina", "_LAMINA_COMPLETE").source())
