"""`lamina image squash`."""

from __future__ import annotations

from lamina.cli.arguments import complete_images, many
from lamina.cli.parsing.declare import argument, command, option
from lamina.cli.session import Session
from lamina.errors import InvalidInput


@command("""
    lamina image squash -t my-app:small my-app
    lamina image squash --from debian:12 -t my-app:small my-app
    lamina image squash --every 10 -t my-app:few my-app
""")
@argument("image", metavar="IMAGE", complete=complete_images)
@option("--every", convert=int, default=0, metavar="N", help="Make one layer of each N")
@option("--from", "base", default="", metavar="IMAGE", help="Keep the layers of the image that this one was built on")
@many("-t", "--tag", "tags", metavar="NAME[:TAG]", help="Name the new image")
def squash(session: Session, image: str, every: int, base: str, tags: tuple[str, ...]) -> None:
    """Make fewer layers of an image's, in a new image, and print its ID.

    Without a flag all layers become one. The history says what was merged.
    """
    if every < 0:
        raise InvalidInput(f"--every {every} is no number of layers")
    how = f"every={every}" if every else "from=base" if base else "all"
    print(session.client.builds.squash(image, how, base=base, tags=tags).id)
