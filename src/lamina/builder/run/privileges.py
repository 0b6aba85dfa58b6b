"""What a RUN step takes beyond a plain sandbox, and whether the build may take it: BuildKit's entitlements.

Rule: moby/buildkit, util/entitlements and solver/llbsolver/vertex.go. A device may also be free for all builds: its
CDI spec then says so in an annotation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lamina.api.build import DEVICE, HOST_NETWORK, INSECURE
from lamina.builder.build_run import BuildRun
from lamina.dockerfile.instructions import Run
from lamina.dockerfile.mounts import DeviceFlag
from lamina.dockerfile.position import Problem
from lamina.errors import Forbidden
from lamina.sandbox.cdi import registered

_AUTO_ALLOW = "org.mobyproject.buildkit.device.autoallow"


def check_allowed(work: BuildRun, instruction: Run) -> None:
    """Raise Forbidden for a step that takes the host's network or privileges without leave."""
    if instruction.network == "host" and HOST_NETWORK not in work.request.needs:
        raise _forbidden(HOST_NETWORK, f"Build with --allow {HOST_NETWORK}, or with --network host.")
    if instruction.security == "insecure" and INSECURE not in work.request.needs:
        raise _forbidden(INSECURE, f"Build with --allow {INSECURE}. The step then has the rights of root on this host.")


def _forbidden(name: str, advice: str) -> Forbidden:
    return Forbidden(f"{name} is not allowed", advice=advice, entitlement=name)


def allowed_devices(flags: Sequence[DeviceFlag], allow: Iterable[str], folders: Sequence[str]) -> tuple[str, ...]:
    """Return the CDI devices that a step gets. One that is not there is left out unless the step requires it.

    `allow` are the entitlements of the build: `device`, or `device=NAME` for one. Raise Problem for a required device
    that is not there, and Forbidden for devices that the build may not have.
    """
    if not flags:
        return ()
    names: dict[str, bool] = {}
    for flag in flags:
        devices = registered(flag.name, folders)
        if not devices and flag.required:
            advice = f"Its spec must be in {' or '.join(folders)}; `lamina info` lists the devices."
            raise Problem(f'required device "{flag.name}" is not registered', advice)
        for name, notes in devices.items():
            names[name] = notes.get(_AUTO_ALLOW, "") == "true"
    entitlements = set(allow)
    granted: set[str] = set()
    for entitlement in entitlements:
        if entitlement.startswith(f"{DEVICE}="):
            granted |= registered(entitlement.partition("=")[2].partition(",")[0], folders).keys()
    refused = [name for name, is_free in names.items() if not (is_free or DEVICE in entitlements or name in granted)]
    if refused:
        words = ", ".join(refused)
        raise Forbidden(
            f"requested devices {words} are not allowed",
            advice=f"Build with --allow {DEVICE}={refused[0]}, or --allow {DEVICE} for all.",
            entitlement=DEVICE,
        )
    return tuple(names)
