"""`lamina images`, `history`, `tag` and `rmi`."""

from __future__ import annotations

import click

from lamina.cli import completing
from lamina.cli.arguments import command, filter_option, filters, format_option, switch
from lamina.cli.each import for_each
from lamina.cli.names import split_reference
from lamina.cli.session import Session
from lamina.errors import NotFound
from lamina.formats.printable import printable


@command("""
    lamina images
    lamina images --filter dangling=true -q
    lamina images --format 'table {{.Repository}}\\t{{.Size}}' 'my-*'
""")
@click.argument("reference", required=False, metavar="[REPOSITORY[:TAG]]")
@switch("-a", "--all", "all_", help="Show intermediate images of classic builds as well")
@switch("--digests", help="Show digests")
@filter_option
@format_option
@switch("--no-trunc", help="Don't shorten")
@switch("-q", "--quiet", help="Only show image IDs")
@click.pass_obj
def images(
    session: Session,
    reference: str | None,
    all_: bool,
    digests: bool,
    filter_: tuple[str, ...],
    format_: str,
    no_trunc: bool,
    quiet: bool,
) -> None:
    """List images."""
    from lamina.cli.show.images import COLUMNS, DEFAULT, WITH_DIGESTS, named_rows
    from lamina.cli.show.table import print_rows

    wanted = filters(filter_)
    if reference:
        wanted.setdefault("reference", []).append(reference)
    form = format_ or (session.settings.config.text("imagesFormat") if not quiet else "")
    digests = digests or ".Digest" in form
    found = named_rows(session.client.images.list(all=all_, filters=wanted, digests=digests), digests)
    columns = WITH_DIGESTS if digests else DEFAULT
    print_rows(found, COLUMNS, columns, form=form, quiet="ID" if quiet else "", trunc=not no_trunc)


@command("""
    lamina history my-app
    lamina history --no-trunc --format '{{.ID}}: {{.CreatedBy}}' my-app
""")
@click.argument("image", shell_complete=completing.images)
@format_option
@click.option("-H", "--human/--no-human", default=True, help="Print sizes and dates in words (default true)")
@switch("--no-trunc", help="Don't shorten")
@switch("-q", "--quiet", help="Only show image IDs")
@click.option("--platform", default=None, help="Accepted for Docker's sake: images here hold one platform")
@click.pass_obj
def history(
    session: Session, image: str, format_: str, human: bool, no_trunc: bool, quiet: bool, platform: str | None
) -> None:
    """Show the history of an image."""
    from lamina.cli.show.images import HISTORY, HISTORY_EXACT, history_columns
    from lamina.cli.show.table import print_rows

    steps = session.client.images.history(image)
    columns, default = history_columns(human), HISTORY if human else HISTORY_EXACT
    print_rows(steps, columns, default, form=format_, quiet="ID" if quiet else "", trunc=not no_trunc)


@command("lamina tag my-app registry.example.com/team/my-app:1.0")
@click.argument("source", metavar="SOURCE_IMAGE[:TAG]", shell_complete=completing.images)
@click.argument("target", metavar="TARGET_IMAGE[:TAG]")
@click.pass_obj
def tag(session: Session, source: str, target: str) -> None:
    """Give the image SOURCE_IMAGE another name, TARGET_IMAGE."""
    repository, name = split_reference(target)
    session.client.images.tag(source, repository, name or "latest")


@command("""
    lamina rmi my-app:old
    lamina rmi -f $(lamina images -q --filter dangling=true)
""")
@click.argument("references", nargs=-1, required=True, metavar="IMAGE [IMAGE...]", shell_complete=completing.images)
@switch("-f", "--force", help="Remove it although stopped containers use it or several names refer to it")
@switch("--no-prune", help="Don't delete untagged parents")
@click.option("--platform", default=None, help="Accepted for Docker's sake: images here hold one platform")
@click.pass_obj
def rmi(session: Session, references: tuple[str, ...], force: bool, no_prune: bool, platform: str | None) -> int:
    """Remove names of images, and the images that no name refers to any more."""

    def remove(reference: str) -> None:
        for item in session.client.images.remove(reference, force=force, no_prune=no_prune):
            for verb, name in item.items():
                print(printable(f"{verb}: {name}"))

    return for_each(references, remove, forgive=NotFound if force else None)
