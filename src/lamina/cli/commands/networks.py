"""`lamina network create`, `ls`, `rm`, `connect` and `disconnect`."""

from __future__ import annotations

from lamina.cli.arguments import (
    complete_containers,
    complete_networks,
    filter_option,
    filters,
    for_each,
    format_option,
    many,
    switch,
)
from lamina.cli.key_values import mapping
from lamina.cli.parsing.declare import argument, command, integer, option
from lamina.cli.table import LABELS, Column, natural, print_rows, short_id
from lamina.client import lists
from lamina.errors import InvalidInput, NotFound
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from lamina.api.networks import Subnet
    from lamina.cli.session import Session

NETWORKS = {
    "ID": Column("NETWORK ID", lambda d, trunc: short_id(d["Id"]) if trunc else str(d["Id"])),
    "Name": Column("NAME", lambda d, trunc: str(d["Name"])),
    "Driver": Column("DRIVER", lambda d, trunc: str(d["Driver"])),
    "Scope": Column("SCOPE", lambda d, trunc: str(d["Scope"])),
    "IPv4": Column("IPV4", lambda d, trunc: str(d.get("EnableIPv4", True)).lower()),
    "IPv6": Column("IPV6", lambda d, trunc: str(d.get("EnableIPv6", False)).lower()),
    "Internal": Column("INTERNAL", lambda d, trunc: str(d.get("Internal", False)).lower()),
    "Labels": LABELS,
    "CreatedAt": Column("CREATED AT", lambda d, trunc: str(d["Created"])),
}
NETWORK_DEFAULT = ("ID", "Name", "Driver", "Scope")


@command("""
    lamina network create web
    lamina network create --subnet 10.7.0.0/24 --gateway 10.7.0.1 --internal back
""")
@argument("name")
@switch("--attachable", help="Accepted for Docker's sake")
@many("--aux-address", metavar="NAME=IP", help="Addresses the network must not give away")
@option("-d", "--driver", default="bridge", help="Driver of the network (default bridge)")
@many("--gateway", help="Gateway of a subnet")
@switch("--internal", help="No way to the outside")
@many("--ip-range", help="Give addresses from this part of a subnet")
@option("--ipam-driver", default="default", help="Driver of address management")
@many("--ipam-opt", metavar="KEY=VALUE", help="Options of address management")
@option("--ipv4/--no-ipv4", default=None, help="Enable or disable IPv4 addresses")
@option("--ipv6/--no-ipv6", default=None, help="Enable or disable IPv6 addresses")
@many("--label", "labels", metavar="KEY=VALUE", help="Set metadata")
@many("-o", "--opt", "opts", metavar="KEY=VALUE", help="Set driver options")
@option("--scope", default="", help="Scope of the network")
@many("--subnet", "subnets", help="Subnet in CIDR form")
def create(session: Session, /, name: str, **flags: Any) -> None:
    """Create a network."""
    from lamina.api.networks import Ipam, NetworkOptions

    options = NetworkOptions(
        driver=flags["driver"],
        internal=flags["internal"],
        attachable=flags["attachable"],
        enable_ipv4=flags["ipv4"],
        enable_ipv6=flags["ipv6"],
        scope=flags["scope"],
        ipam=Ipam(driver=flags["ipam_driver"], options=mapping(flags["ipam_opt"]), subnets=_subnets(flags)),
        labels=mapping(flags["labels"]),
        options=mapping(flags["opts"]),
    )
    print(session.client.networks.create(name, options).id)


def _subnets(flags: dict[str, Any]) -> tuple[Subnet, ...]:
    """Return the subnets, each with the gateway, range and addresses that lie in it."""
    from lamina.api.networks import Subnet

    try:
        subnets: dict[str, dict[str, Any]] = {subnet: {} for subnet in flags["subnets"]}
        parts = [("gateway", text, text) for text in flags["gateway"]]
        parts += [("ip_range", text, text) for text in flags["ip_range"]]
        parts += [("reserved", text, text.partition("=")[2]) for text in flags["aux_address"]]
        for field, text, address in parts:
            subnet = next((subnet for subnet in subnets if _within(address, subnet)), None)
            if subnet is None:
                raise InvalidInput(f"no subnet holds {text}", advice="Give it with --subnet")
            if field == "reserved":
                subnets[subnet].setdefault(field, {})[text.partition("=")[0]] = address
            else:
                subnets[subnet][field] = text
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    return tuple(Subnet(subnet=subnet, **fields) for subnet, fields in subnets.items())


def _within(address: str, subnet: str) -> bool:
    from ipaddress import ip_network

    inner, outer = ip_network(address, strict=False), ip_network(subnet, strict=False)
    if inner.version != outer.version:
        return False
    return int(outer.network_address) <= int(inner.network_address) <= int(outer.broadcast_address)


@command("lamina network ls --filter driver=bridge")
@filter_option
@format_option
@switch("--no-trunc", help="Don't shorten")
@switch("-q", "--quiet", help="Only show IDs")
def ls(session: Session, filter_: tuple[str, ...], format_: str, no_trunc: bool, quiet: bool) -> None:
    """List networks."""
    form = format_ or (session.settings.config.text("networksFormat") if not quiet else "")
    networks = lists.networks(session.client.transport, filters(filter_))
    networks.sort(key=lambda network: natural(network["Name"]))
    print_rows(networks, NETWORKS, NETWORK_DEFAULT, form=form, quiet="ID" if quiet else "", trunc=not no_trunc)


@command("lamina network rm web")
@argument("names", many=True, metavar="NETWORK [NETWORK...]", complete=complete_networks)
@switch("-f", "--force", help="A network that does not exist is no error")
def rm(session: Session, names: tuple[str, ...], force: bool) -> int:
    """Remove networks."""

    def remove(name: str) -> None:
        session.client.networks.remove(name)
        print(name)

    return for_each(names, remove, forgive=NotFound if force else None)


@command("lamina network connect --alias db web database")
@argument("network", complete=complete_networks)
@argument("container", complete=complete_containers)
@many("--alias", "aliases", help="Another name of the container in the network")
@many("--driver-opt", "driver_opts", metavar="KEY=VALUE", help="Driver options")
@option("--gw-priority", convert=integer, default=0, help="The highest gives the default gateway")
@option("--ip", default="", help="IPv4 address")
@option("--ip6", default="", help="IPv6 address")
@many("--link", "links", help="Link to another container")
@many("--link-local-ip", "link_local_ips", help="Link-local addresses")
def connect(session: Session, /, network: str, container: str, **flags: Any) -> None:
    """Connect a container to a network."""
    from lamina.api.containers import EndpointConfig, EndpointIpam

    endpoint = EndpointConfig(
        ipam=EndpointIpam(ipv4_address=flags["ip"], ipv6_address=flags["ip6"], link_local_ips=flags["link_local_ips"]),
        aliases=flags["aliases"],
        links=flags["links"],
        driver_opts=mapping(flags["driver_opts"]),
        gw_priority=flags["gw_priority"],
    )
    session.client.containers.connect(container, network, endpoint)


@command("lamina network disconnect web database")
@argument("network", complete=complete_networks)
@argument("container", complete=complete_containers)
@switch("-f", "--force", help="Disconnect it although it runs")
def disconnect(session: Session, network: str, container: str, force: bool) -> None:
    """Disconnect a container from a network."""
    session.client.containers.disconnect(container, network, force=force)
