"""The types that programs use with lamina: requests, results, and the verbs that engines and clients share.

Annotate with these, and the same program works with `lamina.Engine(root)` and with `lamina.connect()`:

    def tags(library: Library) -> list[str]:
        return [tag for image in library.images.list() for tag in image.tags]

Times in results are RFC 3339 texts; times in arguments may be Unix seconds or a span back from now ("10m") as well.
Every long verb takes a `Cancellation`; every verb raises the kinds of `lamina.errors`.
"""

from __future__ import annotations

from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from lamina.api.build import BuildOutput as BuildOutput
    from lamina.api.build import BuildRequest as BuildRequest
    from lamina.api.build import CacheOption as CacheOption
    from lamina.api.build_cache import CacheObject as CacheObject
    from lamina.api.build_calls import CheckResult as CheckResult
    from lamina.api.build_calls import CheckWarning as CheckWarning
    from lamina.api.build_calls import OutlineResult as OutlineResult
    from lamina.api.build_calls import TargetsResult as TargetsResult
    from lamina.api.build_history import BuildRecord as BuildRecord
    from lamina.api.build_steps import BuildStep as BuildStep
    from lamina.api.build_steps import Difference as Difference
    from lamina.api.containers import BindOptions as BindOptions
    from lamina.api.containers import Config as Config
    from lamina.api.containers import DeviceMapping as DeviceMapping
    from lamina.api.containers import EndpointConfig as EndpointConfig
    from lamina.api.containers import EndpointIpam as EndpointIpam
    from lamina.api.containers import ExecConfig as ExecConfig
    from lamina.api.containers import HostConfig as HostConfig
    from lamina.api.containers import LogConfig as LogConfig
    from lamina.api.containers import MountSpec as MountSpec
    from lamina.api.containers import NetworkingConfig as NetworkingConfig
    from lamina.api.containers import PortHost as PortHost
    from lamina.api.containers import RestartPolicy as RestartPolicy
    from lamina.api.containers import TmpfsOptions as TmpfsOptions
    from lamina.api.containers import Ulimit as Ulimit
    from lamina.api.containers import UpdateConfig as UpdateConfig
    from lamina.api.containers import VolumeOptions as VolumeOptions
    from lamina.api.explorer import Blame as Blame
    from lamina.api.explorer import Efficiency as Efficiency
    from lamina.api.explorer import FileChange as FileChange
    from lamina.api.explorer import FileState as FileState
    from lamina.api.explorer import FolderEntry as FolderEntry
    from lamina.api.explorer import FoundFile as FoundFile
    from lamina.api.explorer import HiddenFile as HiddenFile
    from lamina.api.explorer import ImageDifference as ImageDifference
    from lamina.api.explorer import ImageReport as ImageReport
    from lamina.api.explorer import LayerSummary as LayerSummary
    from lamina.api.explorer import ListedFile as ListedFile
    from lamina.api.explorer import PackageChange as PackageChange
    from lamina.api.explorer import Search as Search
    from lamina.api.explorer import Touch as Touch
    from lamina.api.explorer import ValueChange as ValueChange
    from lamina.api.explorer_findings import ImageSources as ImageSources
    from lamina.api.explorer_findings import InstalledPackage as InstalledPackage
    from lamina.api.explorer_findings import LayerSource as LayerSource
    from lamina.api.explorer_findings import Saving as Saving
    from lamina.api.explorer_findings import Secret as Secret
    from lamina.api.explorer_findings import SharedFile as SharedFile
    from lamina.api.explorer_findings import SharedLayer as SharedLayer
    from lamina.api.explorer_findings import Sharing as Sharing
    from lamina.api.explorer_findings import Weight as Weight
    from lamina.api.memory_context import MemoryContext as MemoryContext
    from lamina.api.networks import Ipam as Ipam
    from lamina.api.networks import NetworkOptions as NetworkOptions
    from lamina.api.networks import Subnet as Subnet
    from lamina.api.stream import Stream as Stream
    from lamina.cancellation import NEVER as NEVER
    from lamina.cancellation import Cancellation as Cancellation
    from lamina.credentials import Credentials as Credentials
    from lamina.errors import Cancelled as Cancelled
    from lamina.errors import CommandFailed as CommandFailed
    from lamina.errors import Conflict as Conflict
    from lamina.errors import Corrupt as Corrupt
    from lamina.errors import Forbidden as Forbidden
    from lamina.errors import Internal as Internal
    from lamina.errors import InvalidInput as InvalidInput
    from lamina.errors import LaminaError as LaminaError
    from lamina.errors import NoSpace as NoSpace
    from lamina.errors import NotFound as NotFound
    from lamina.errors import NotModified as NotModified
    from lamina.errors import RangeInvalid as RangeInvalid
    from lamina.errors import RateLimited as RateLimited
    from lamina.errors import TooLarge as TooLarge
    from lamina.errors import Unauthorized as Unauthorized
    from lamina.errors import Unavailable as Unavailable
    from lamina.errors import Unsupported as Unsupported
    from lamina.formats.matching import Filters as Filters
    from lamina.formats.runconfig import Healthcheck as Healthcheck
    from lamina.formats.runconfig import RunConfig as RunConfig
    from lamina.progress import Aux as Aux
    from lamina.progress import Message as Message
    from lamina.progress import Output as Output
    from lamina.progress import Report as Report
    from lamina.progress import Status as Status
    from lamina.progress import ignore as ignore
    from lamina.types.builds import BuildResult as BuildResult
    from lamina.types.builds import Builds as Builds
    from lamina.types.containers import Containers as Containers
    from lamina.types.explorer import Explorer as Explorer
    from lamina.types.failed_step import StepFailed as StepFailed
    from lamina.types.images import AttestedStatement as AttestedStatement
    from lamina.types.images import HistoryStep as HistoryStep
    from lamina.types.images import Image as Image
    from lamina.types.images import Images as Images
    from lamina.types.images import ImageSummary as ImageSummary
    from lamina.types.images import PrunedImages as PrunedImages
    from lamina.types.images import Removal as Removal
    from lamina.types.library import DiskUsage as DiskUsage
    from lamina.types.library import Event as Event
    from lamina.types.library import Info as Info
    from lamina.types.library import Library as Library
    from lamina.types.library import Machine as Machine
    from lamina.types.library import Version as Version
    from lamina.types.registries import Registries as Registries
    from lamina.types.registries import RemoteImage as RemoteImage
    from lamina.types.registries import SearchResult as SearchResult
    from lamina.types.resources import Network as Network
    from lamina.types.resources import Networks as Networks
    from lamina.types.resources import Pruned as Pruned
    from lamina.types.resources import Volume as Volume
    from lamina.types.resources import Volumes as Volumes
    from lamina.types.results import Change as Change
    from lamina.types.results import ContainerDetails as ContainerDetails
    from lamina.types.results import ContainerNetwork as ContainerNetwork
    from lamina.types.results import ContainerState as ContainerState
    from lamina.types.results import ContainerStats as ContainerStats
    from lamina.types.results import ContainerSummary as ContainerSummary
    from lamina.types.results import Created as Created
    from lamina.types.results import ExecDetails as ExecDetails
    from lamina.types.results import Mount as Mount
    from lamina.types.results import PathStat as PathStat
    from lamina.types.results import Processes as Processes
    from lamina.types.run_results import Completed as Completed
    from lamina.types.run_results import Group as Group
    from lamina.types.run_results import LogRecord as LogRecord
    from lamina.types.run_results import Waiting as Waiting
    from lamina.types.run_results import WaitResult as WaitResult

# Where each name lives: modules are loaded when a name of theirs is first asked for, so that a client stays quick.
_HOMES = {
    "lamina.api.build": "BuildOutput BuildRequest CacheOption",
    "lamina.api.build_cache": "CacheObject",
    "lamina.api.build_history": "BuildRecord",
    "lamina.api.build_steps": "BuildStep Difference",
    "lamina.api.build_calls": "CheckResult CheckWarning OutlineResult TargetsResult",
    "lamina.api.containers": (
        "BindOptions Config DeviceMapping EndpointConfig EndpointIpam ExecConfig HostConfig LogConfig "
        "MountSpec NetworkingConfig PortHost RestartPolicy TmpfsOptions Ulimit UpdateConfig "
        "VolumeOptions"
    ),
    "lamina.api.explorer": (
        "Blame Efficiency FileChange FileState FolderEntry FoundFile HiddenFile ImageDifference ImageReport "
        "LayerSummary ListedFile PackageChange Search Touch ValueChange"
    ),
    "lamina.api.explorer_findings": (
        "ImageSources InstalledPackage LayerSource Saving Secret SharedFile SharedLayer Sharing Weight"
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
    "lamina.types.builds": "BuildResult Builds",
    "lamina.types.explorer": "Explorer",
    "lamina.types.failed_step": "StepFailed",
    "lamina.types.images": "AttestedStatement HistoryStep Image Images ImageSummary PrunedImages Removal",
    "lamina.types.registries": "Registries RemoteImage SearchResult",
    "lamina.types.library": "DiskUsage Event Info Library Machine Version",
    "lamina.types.resources": "Network Networks Pruned Volume Volumes",
    "lamina.types.results": (
        "Change ContainerDetails ContainerNetwork ContainerState ContainerStats ContainerSummary Created ExecDetails "
        "Mount PathStat Processes"
    ),
    "lamina.types.run_results": "Completed Group LogRecord Waiting WaitResult",
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names.split()}
__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module 'lamina.types' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return __all__
