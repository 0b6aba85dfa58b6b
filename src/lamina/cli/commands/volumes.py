"""`lamina volume create`, `ls` and `rm`."""

from __future__ import annotations

from lamina.cli.arguments import complete_volumes, filter_option, filters, for_each, format_option, many, switch
from lamina.cli.key_values import mapping
from lamina.cli.parsing.declare import argument, command, option
from lamina.cli.table import LABELS, Column, natural, print_rows
from lamina.client import lists
from lamina.errors import InvalidInput, NotFound
from lamina.formats.sizes import human_size
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from lamina.cli.session import Session

VOLUMES = {
    "Name": Column("VOLUME NAME", lambda d, trunc: str(d["Name"])),
    "Driver": Column("DRIVER", lambda d, trunc: str(d["Driver"])),
    "Scope": Column("SCOPE", lambda d, trunc: str(d["Scope"])),
    "Mountpoint": Column("MOUNTPOINT", lambda d, trunc: str(d["Mountpoint"])),
    "Labels": LABELS,
    "Links": Column("LINKS", lambda d, trunc: str(d["UsageData"]["RefCount"]) if d.get("UsageData") else "N/A"),
    "Size": Column("SIZE", lambda d, trunc: human_size(d["UsageData"]["Size"]) if d.get("UsageData") else "N/A"),
}
VOLUME_DEFAULT = ("Driver", "Name")


@command("lamina volume create --label team=web data")
@argument("volume", required=False)
@option("-d", "--driver", default="local", help="Volume driver (default local)")
@many("--label", "labels", metavar="KEY=VALUE", help="Set metadata")
@option("--name", default="", hidden=True, help="The older way to give the name")
@many("-o", "--opt", "opts", metavar="KEY=VALUE", help="Set driver options")
def create(
    session: Session, volume: str | None, driver: str, labels: tuple[str, ...], name: str, opts: tuple[str, ...]
) -> None:
    """Create a volume; its name is made up where none is given."""
    if volume and name:
        raise InvalidInput("conflicting options: the volume's name is given twice")
    created = session.client.volumes.create(
        volume or name, driver=driver, labels=mapping(labels), driver_opts=mapping(opts)
    )
    print(created.name)


@command("lamina volume ls --filter dangling=true")
@filter_option
@format_option
@switch("-q", "--quiet", help="Only show names")
def ls(session: Session, filter_: tuple[str, ...], format_: str, quiet: bool) -> None:
    """List volumes."""
    form = format_ or (session.settings.config.text("volumesFormat") if not quiet else "")
    volumes = lists.volumes(session.client.transport, filters(filter_))
    volumes.sort(key=lambda volume: natural(volume["Name"]))
    print_rows(volumes, VOLUMES, VOLUME_DEFAULT, form=form, quiet="Name" if quiet else "")


@command("lamina volume rm data")
@argument("names", many=True, metavar="VOLUME [VOLUME...]", complete=complete_volumes)
@switch("-f", "--force", help="A volume that does not exist is no error")
def rm(session: Session, names: tuple[str, ...], force: bool) -> int:
    """Remove volumes that no container uses."""

    def remove(name: str) -> None:
        session.client.volumes.remove(name, force=force)
        print(name)

    return for_each(names, remove, forgive=NotFound if force else None)
