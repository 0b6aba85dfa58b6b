"""`lamina save`, `load` and `import`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import IO

from lamina.cli.arguments import complete_images, many, switch
from lamina.cli.parsing.declare import argument, command, option
from lamina.cli.session import Session
from lamina.errors import InvalidInput


def write_archive(write: Callable[[IO[bytes]], None], output: str) -> None:
    """Let `write` fill the file `output`, which appears whole or not at all. An empty `output` means stdout.

    Raise InvalidInput if stdout is a terminal.
    """
    if not output or output == "-":
        if sys.stdout.isatty():
            raise InvalidInput("cowardly refusing to save to a terminal", advice="Use -o FILE, or redirect the output")
        write(sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    special = os.path.exists(output) and not os.path.isfile(output)
    temporary = output if special else f"{output}.{os.getpid()}.partial"
    try:
        with open(temporary, "wb") as file:
            write(file)
        if not special:
            os.replace(temporary, output)
    except BaseException:
        if not special and os.path.exists(temporary):
            os.unlink(temporary)
        raise


@command("""
    lamina save -o busybox.tar busybox
    lamina save my-app my-db | gzip > both.tar.gz
""")
@argument("references", many=True, metavar="IMAGE [IMAGE...]", complete=complete_images)
@option("-o", "--output", default="", metavar="FILE", help="Write to a file, instead of stdout")
@option("--platform", default=None, help="Save only this platform")
def save(session: Session, references: tuple[str, ...], output: str, platform: str | None) -> None:
    """Save images, with their names and layers, to a tar archive."""
    write_archive(lambda sink: session.client.images.save(references, sink, platform=platform or ""), output)


@command("""
    lamina load -i busybox.tar.gz
    ssh host docker save my-app | lamina load
""")
@option("-i", "--input", "input_", default="", metavar="FILE", help="Read from a file, instead of stdin")
@option("--platform", default=None, help="Load only this platform")
@switch("-q", "--quiet", help="No progress")
def load(session: Session, input_: str, platform: str | None, quiet: bool) -> None:
    """Load images from an archive that `save` wrote, compressed or not."""
    from lamina.cli.progress import Display
    from lamina.progress import Message, Output

    if not input_ and sys.stdin.isatty():
        raise InvalidInput("requested load from stdin, but stdin is empty", advice="Use -i FILE, or redirect the input")

    def only_output(message: Message) -> None:
        if isinstance(message, Output):
            display(message)

    with Display() as display, open(input_, "rb") if input_ else sys.stdin.buffer as file:
        report = only_output if quiet or not sys.stdout.isatty() else display
        session.client.images.load(file, platform=platform or "", report=report)


@command(
    """
    lamina import rootfs.tar.gz my-base:1
    debootstrap-to-tar | lamina import -c 'CMD ["bash"]' - my-debian
    """,
)
@argument("source", metavar="FILE|URL|-")
@argument("reference", required=False, default="", metavar="[REPOSITORY[:TAG]]")
@many("-c", "--change", "changes", metavar="INSTRUCTION", help="Apply a Dockerfile instruction")
@option("-m", "--message", default="", help="Commit message")
@option("--platform", default=None, envvar="DOCKER_DEFAULT_PLATFORM", help="Platform of the image")
def import_(
    session: Session, source: str, reference: str, changes: tuple[str, ...], message: str, platform: str | None
) -> None:
    """Make an image of one layer from a tar of a file system, and print its ID."""
    client = session.client
    if source.startswith(("http://", "https://")):
        from lamina.progress import Message, Status

        def report(progress: Message) -> None:
            if isinstance(progress, Status) and progress.current is None and not progress.id:
                print(progress.status)

        client.registries.import_url(
            source, reference, message=message, changes=changes, platform=platform or "", report=report
        )
        return
    with sys.stdin.buffer if source == "-" else open(source, "rb") as file:
        image = client.images.import_tar(file, reference, message=message, changes=changes, platform=platform or "")
    print(image.id)
