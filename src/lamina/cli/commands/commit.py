"""`lamina commit`."""

from __future__ import annotations

import click

from lamina.cli import completing
from lamina.cli.arguments import command, many
from lamina.cli.names import split_reference
from lamina.cli.session import Session


@command("""
    lamina commit app1 my-app:fixed
    lamina commit -c 'ENV DEBUG=true' -c 'CMD ["run"]' -m 'what was tried' app1
""")
@click.argument("container", shell_complete=completing.containers)
@click.argument("reference", required=False, default="", metavar="[REPOSITORY[:TAG]]")
@click.option("-a", "--author", default="", help="Author, such as 'Ada <ada@example.com>'")
@many("-c", "--change", "changes", metavar="INSTRUCTION", help="Apply a Dockerfile instruction")
@click.option("-m", "--message", default="", help="Commit message")
@click.option("-p", "--pause/--no-pause", default=True, help="Pause the container meanwhile (default true)")
@click.pass_obj
def commit(
    session: Session,
    container: str,
    reference: str,
    author: str,
    changes: tuple[str, ...],
    message: str,
    pause: bool,
) -> None:
    """Make an image from what a container changed, and print its ID."""
    repository, tag = split_reference(reference)
    made = session.client.images.commit(
        container, repository, tag, message=message, author=author, changes=changes, pause=pause
    )
    print(made.id)
