"""The types that programs use with lamina: requests, results, and the verbs that engines and clients share.

Annotate with these, and the same program works with `lamina.Engine(root)` and with `lamina.connect()`:

    def tags(library: Library) -> list[str]:
        return [tag for image in library.images.list() for tag in image.tags]

Times in results are RFC 3339 texts; times in arguments may be Unix seconds or a span back from now ("10m") as well.
Every long verb takes a `Cancellation`; every verb raises the kinds of `lamina.errors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lamina.api.build import BuildRequest
    from lamina.api.containers import (
        BindOptions,
        Config,
        DeviceMapping,
        EndpointConfig,
        EndpointIpam,
        ExecConfig,
        HostConfig,
        LogConfig,
        MountSpec,
        NetworkingConfig,
        PortHost,
        RestartPolicy,
        TmpfsOptions,
        Ulimit,
        UpdateConfig,
        VolumeOptions,
    )
    from lamina.api.memory_context import MemoryContext
    from lamina.api.networks import Ipam, NetworkOptions, Subnet
    from lamina.api.stream import Stream
    from lamina.cancellation import NEVER, Cancellation
    from lamina.credentials import Credentials
    from lamina.errors import (
        Cancelled,
        CommandFailed,
        Conflict,
        Corrupt,
        Forbidden,
        Internal,
        InvalidInput,
        LaminaError,
        NoSpace,
        NotFound,
        NotModified,
        RangeInvalid,
        RateLimited,
        TooLarge,
        Unauthorized,
        Unavailable,
        Unsupported,
    )
    from lamina.formats.matching import Filters
    from lamina.formats.runconfig import Healthcheck, RunConfig
    from lamina.progress import Aux, Message, Output, Report, Status, ignore
    from lamina.types.containers import Containers
    from lamina.types.images import (
        BuildResult,
        Builds,
        HistoryStep,
        Image,
        Images,
        ImageSummary,
        PrunedImages,
        Registries,
        RemoteImage,
        Removal,
        SearchResult,
    )
    from lamina.types.library import DiskUsage, Event, Info, Library, Machine, Version
    from lamina.types.resources import Network, Networks, Pruned, Volume, Volumes
    from lamina.types.results import (
        Change,
        ContainerDetails,
        ContainerNetwork,
        ContainerState,
        ContainerStats,
        ContainerSummary,
        Created,
        ExecDetails,
        Mount,
        PathStat,
        Processes,
    )
    from lamina.types.run_results import Completed, Group, LogRecord, Waiting, WaitResult

__all__ = [
    "NEVER",
    "Aux",
    "BindOptions",
    "BuildRequest",
    "BuildResult",
    "Builds",
    "Cancellation",
    "Cancelled",
    "Change",
    "CommandFailed",
    "Completed",
    "Config",
    "Conflict",
    "ContainerDetails",
    "ContainerNetwork",
    "ContainerState",
    "ContainerStats",
    "ContainerSummary",
    "Containers",
    "Corrupt",
    "Created",
    "Credentials",
    "DeviceMapping",
    "DiskUsage",
    "EndpointConfig",
    "EndpointIpam",
    "Event",
    "ExecConfig",
    "ExecDetails",
    "Filters",
    "Forbidden",
    "Group",
    "Healthcheck",
    "HistoryStep",
    "HostConfig",
    "Image",
    "ImageSummary",
    "Images",
    "Info",
    "Internal",
    "InvalidInput",
    "Ipam",
    "LaminaError",
    "Library",
    "LogConfig",
    "LogRecord",
    "Machine",
    "MemoryContext",
    "Message",
    "Mount",
    "MountSpec",
    "Network",
    "NetworkOptions",
    "NetworkingConfig",
    "Networks",
    "NoSpace",
    "NotFound",
    "NotModified",
    "Output",
    "PathStat",
    "PortHost",
    "Processes",
    "Pruned",
    "PrunedImages",
    "RangeInvalid",
    "RateLimited",
    "Registries",
    "RemoteImage",
    "Removal",
    "Report",
    "RestartPolicy",
    "RunConfig",
    "SearchResult",
    "Status",
    "Stream",
    "Subnet",
    "TmpfsOptions",
    "TooLarge",
    "Ulimit",
    "Unauthorized",
    "Unavailable",
    "Unsupported",
    "UpdateConfig",
    "Version",
    "Volume",
    "VolumeOptions",
    "Volumes",
    "WaitResult",
    "Waiting",
    "ignore",
]

# Where each name lives: modules are loaded when a name of theirs is first asked for, so that a client stays quick.
_HOMES = {
    "lamina.api.build": "BuildRequest",
    "lamina.api.containers": (
        "BindOptions Config DeviceMapping EndpointConfig EndpointIpam ExecConfig HostConfig LogConfig "
        "MountSpec NetworkingConfig PortHost RestartPolicy TmpfsOptions Ulimit UpdateConfig "
        "VolumeOptions"
    ),
    "lamina.api.memory_context": "MemoryContext",
    "lamina.api.networks": "Ipam NetworkOptions Subnet",
    "lamina.api.stream": "Stream",
    "lamina.cancellation": "NEVER Cancellation",
    "lamina.credentials": "Credentials",
    "lamina.errors": (
        "Cancelled CommandFailed Conflict Corrupt Forbidden Internal InvalidInput LaminaError NoSpace "
        "NotFound NotModified RangeInvalid RateLimited TooLarge Unauthorized Unavailable Unsupported"
    ),
    "lamina.formats.matching": "Filters",
    "lamina.formats.runconfig": "Healthcheck RunConfig",
    "lamina.progress": "Aux Message Output Report Status ignore",
    "lamina.types.containers": "Containers",
    "lamina.types.images": (
        "BuildResult Builds HistoryStep Image Images ImageSummary PrunedImages Registries RemoteImage "
        "Removal SearchResult"
    ),
    "lamina.types.library": "DiskUsage Event Info Library Machine Version",
    "lamina.types.resources": "Network Networks Pruned Volume Volumes",
    "lamina.types.results": (
        "Change ContainerDetails ContainerNetwork ContainerState ContainerStats ContainerSummary Created ExecDetails "
        "Mount PathStat Processes"
    ),
    "lamina.types.run_results": "Completed Group LogRecord Waiting WaitResult",
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module 'lamina.types' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return __all__
