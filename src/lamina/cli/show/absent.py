"""Fields of Docker's objects that their JSON leaves out, or has as null, while they are empty: what templates see then.

Docker's client reads the JSON into Go's structs, whose fields have the empty value of their type; a template may ask
for them all the same. Only what no struct has is an error.
"""

from __future__ import annotations

TEXTS = frozenset({
    "Author", "Comment", "Container", "Created", "DockerVersion", "Isolation", "MacAddress", "OsVersion", "Parent",
    "Platform", "Runtime", "StopSignal", "Variant",
})  # fmt: skip
SWITCHES = frozenset({"ArgsEscaped", "NetworkDisabled"})
NUMBERS = frozenset({
    "CPUCount", "CPUPercent", "GwPriority", "IOMaximumBandwidth", "IOMaximumIOps", "KernelMemory", "KernelMemoryTCP",
    "Size", "VirtualSize",
})  # fmt: skip
LISTS = frozenset({
    "Aliases", "Args", "Binds", "BlkioDeviceReadBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteBps",
    "BlkioDeviceWriteIOps", "BlkioWeightDevice", "CapAdd", "CapDrop", "Cmd", "DNSNames", "DeviceCgroupRules",
    "DeviceRequests", "Devices", "Dns", "DnsOptions", "DnsSearch", "Entrypoint", "Env", "ExecIDs", "ExtraHosts",
    "GroupAdd", "Links", "Manifests", "MaskedPaths", "Mounts", "OnBuild", "Peers", "ReadonlyPaths", "RepoDigests",
    "RepoTags", "SecondaryIPAddresses", "SecondaryIPv6Addresses", "SecurityOpt", "Shell", "Ulimits", "VolumesFrom",
})  # fmt: skip
MAPS = frozenset({
    "Annotations", "DriverOpts", "ExposedPorts", "Labels", "Options", "Services", "Status", "StorageOpt", "Sysctls",
    "Tmpfs", "Volumes",
})  # fmt: skip
POINTERS = frozenset({
    "ClusterVolume", "ContainerConfig", "Descriptor", "GraphDriver", "Health", "Healthcheck", "Identity",
    "ImageManifestDescriptor", "Init", "SizeRootFs", "SizeRw", "StopTimeout", "UsageData",
})  # fmt: skip

_EMPTY: tuple[tuple[frozenset[str], object], ...] = (
    (TEXTS, ""), (SWITCHES, False), (NUMBERS, 0), (LISTS, ()), (MAPS, {}), (POINTERS, None),
)  # fmt: skip


def empty_value(name: str) -> object:
    """What a field that is not there is worth in a template. Raises KeyError where Docker has no such field."""
    for names, value in _EMPTY:
        if name in names:
            return value
    raise KeyError(name)
