"""`lamina build --on-error=shell`: a shell in the files that a failed command left."""

from __future__ import annotations

import sys

from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from lamina.cli.session import Session
    from lamina.errors import LaminaError


def open_shell(session: Session, error: LaminaError, network: str) -> int:
    """Show why a build failed, and run a shell in the image that the error names. Return the command's exit code.

    The container and the image are removed when the shell ends.
    """
    from lamina.cli.run.container_life import ClientFlags, run_container
    from lamina.cli.run.documents import document
    from lamina.cli.run.request import Request
    from lamina.cli.terminal.screen import quoted

    image = str(error.facts["image"])
    print(f"lamina: {quoted(str(error))}", file=sys.stderr)
    print("A shell opens where it failed. The build ends with it.", file=sys.stderr)
    config = document(
        image=image,
        entrypoint=("/bin/sh",),
        tty=sys.stdin.isatty() and sys.stdout.isatty(),
        attach_stdin=True,
        attach_stdout=True,
        attach_stderr=True,
        open_stdin=True,
        stdin_once=True,
    )
    config["Cmd"] = ()  # not the image's
    host = document(network_mode=network, auto_remove=True)
    try:
        run_container(session, Request(config, host, {}), ClientFlags(pull="never"))
    finally:
        session.client.images.remove(image, force=True, prune=False)  # the steps above it are the cache
    return int(error.facts.get("exit_code") or 1)
