"""Every command: where it lives and what the list of commands says about it. Loading happens on use."""

from __future__ import annotations

from lamina.light import NamedTuple


class Entry(NamedTuple):
    """`module` is below `lamina.cli.commands`; `name` is the command in it."""

    module: str
    name: str
    summary: str
    hidden: bool = False


GROUPS = {
    "builder": "Manage builds",
    "builder cache": "Manage the directories of RUN --mount=type=cache",
    "builder history": "Look at the records of builds",
    "container": "Manage containers",
    "context": "Manage contexts",
    "image": "Manage images",
    "manifest": "Manage images for several platforms",
    "network": "Manage networks",
    "registry": "Serve and keep a registry",
    "system": "Manage lamina",
    "volume": "Manage volumes",
}

_CONTAINER = {
    "attach": Entry("attach", "attach", "Attach your terminal to a running container"),
    "commit": Entry("images", "commit", "Create a new image from a container's changes"),
    "cp": Entry("copy", "cp", "Copy files between a container and the local filesystem"),
    "create": Entry("run", "create", "Create a new container"),
    "diff": Entry("containers", "diff", "Inspect changes to files of a container"),
    "exec": Entry("attach", "exec_", "Execute a command in a running container"),
    "export": Entry("copy", "export", "Export a container's filesystem as a tar archive"),
    "kill": Entry("lifecycle", "kill", "Kill running containers"),
    "logs": Entry("containers", "logs", "Fetch the logs of a container"),
    "pause": Entry("lifecycle", "pause", "Pause all processes of containers"),
    "port": Entry("containers", "port", "List port mappings of a container"),
    "rename": Entry("lifecycle", "rename", "Rename a container"),
    "restart": Entry("lifecycle", "restart", "Restart containers"),
    "rm": Entry("lifecycle", "rm", "Remove containers"),
    "run": Entry("run", "run", "Create and run a new container from an image"),
    "start": Entry("attach", "start", "Start stopped containers"),
    "stats": Entry("stats", "stats", "Show a live stream of container resource usage"),
    "stop": Entry("lifecycle", "stop", "Stop running containers"),
    "top": Entry("containers", "top", "Display the running processes of a container"),
    "unpause": Entry("lifecycle", "unpause", "Unpause all processes of containers"),
    "update": Entry("lifecycle", "update", "Update the limits of containers"),
    "wait": Entry("lifecycle", "wait", "Block until containers stop, then print their exit codes"),
}
_LIST_CONTAINERS = Entry("containers", "ps", "List containers")

_IMAGE = {
    "build": Entry("build", "build", "Build an image from a Dockerfile"),
    "history": Entry("images", "history", "Show the history of an image"),
    "import": Entry("archives", "import_", "Import a tarball to create an image"),
    "load": Entry("archives", "load", "Load images from a tar archive or stdin"),
    "pull": Entry("remote_images", "pull", "Download an image from a registry"),
    "push": Entry("remote_images", "push", "Upload an image to a registry"),
    "save": Entry("archives", "save", "Save images to a tar archive"),
    "tag": Entry("images", "tag", "Give an image another name"),
}
_LIST_IMAGES = Entry("images", "images", "List images")
_REMOVE_IMAGES = Entry("images", "rmi", "Remove images")

_INSPECT = Entry("inspect", "inspect", "Return low-level information on objects")
_EVENTS = Entry("system", "events", "Get real time events from the daemon")
_INFO = Entry("system", "info", "Display information about the engine")


def _hidden(entry: Entry) -> Entry:
    return entry._replace(hidden=True)


COMMANDS: dict[str, Entry] = {
    **_CONTAINER,
    **_IMAGE,
    "ps": _LIST_CONTAINERS,
    "images": _LIST_IMAGES,
    "rmi": _REMOVE_IMAGES,
    "inspect": _INSPECT,
    "events": _EVENTS,
    "info": _INFO,
    "login": Entry("remote_images", "login", "Authenticate to a registry"),
    "logout": Entry("remote_images", "logout", "Log out from a registry"),
    "search": Entry("remote_images", "search", "Search a registry for images"),
    "version": Entry("system", "version", "Show the version of the client and the engine"),
    "explore": Entry("explore", "explore", "Show the layers of an image and what is wasted in them"),
    "daemon": Entry("daemon", "daemon", "Run the engine: serve the Docker Engine API"),
    "dashboard": Entry("dashboard", "dashboard", "Open the dashboard in a browser"),
    "completion": Entry("system", "completion", "Print a completion script for your shell"),
    **{f"container {name}": entry for name, entry in _CONTAINER.items()},
    "container inspect": Entry("inspect", "inspect_container", "Display detailed information on containers"),
    "container ls": _LIST_CONTAINERS,
    "container list": _hidden(_LIST_CONTAINERS),
    "container ps": _hidden(_LIST_CONTAINERS),
    "container prune": Entry("disk_space", "prune_containers", "Remove all stopped containers"),
    "container remove": _hidden(_CONTAINER["rm"]),
    **{f"image {name}": entry for name, entry in _IMAGE.items()},
    "image blame": Entry("explore", "blame", "Show which instructions made a file of an image"),
    "image diff": Entry("explore", "diff", "Show how two images differ"),
    "image inspect": Entry("inspect", "inspect_image", "Display detailed information on images"),
    "image ls": _LIST_IMAGES,
    "image list": _hidden(_LIST_IMAGES),
    "image prune": Entry("disk_space", "prune_images", "Remove unused images"),
    "image squash": Entry("squash", "squash", "Make fewer layers of an image's"),
    "image rm": _REMOVE_IMAGES,
    "image remove": _hidden(_REMOVE_IMAGES),
    "volume create": Entry("volumes", "create", "Create a volume"),
    "volume inspect": Entry("inspect", "inspect_volume", "Display detailed information on volumes"),
    "volume ls": Entry("volumes", "ls", "List volumes"),
    "volume list": Entry("volumes", "ls", "List volumes", hidden=True),
    "volume prune": Entry("disk_space", "prune_volumes", "Remove unused local volumes"),
    "volume rm": Entry("volumes", "rm", "Remove volumes"),
    "volume remove": Entry("volumes", "rm", "Remove volumes", hidden=True),
    "network connect": Entry("networks", "connect", "Connect a container to a network"),
    "network create": Entry("networks", "create", "Create a network"),
    "network disconnect": Entry("networks", "disconnect", "Disconnect a container from a network"),
    "network inspect": Entry("inspect", "inspect_network", "Display detailed information on networks"),
    "network ls": Entry("networks", "ls", "List networks"),
    "network list": Entry("networks", "ls", "List networks", hidden=True),
    "network prune": Entry("disk_space", "prune_networks", "Remove all unused networks"),
    "network rm": Entry("networks", "rm", "Remove networks"),
    "network remove": Entry("networks", "rm", "Remove networks", hidden=True),
    "builder build": _hidden(_IMAGE["build"]),
    "builder cache export": Entry("cache_mounts", "export", "Write the files of a cache mount as a tar"),
    "builder cache import": Entry("cache_mounts", "import_", "Fill a cache mount from a tar"),
    "builder cache ls": Entry("cache_mounts", "ls", "List cache mounts"),
    "builder cache rm": Entry("cache_mounts", "rm", "Remove cache mounts"),
    "builder du": Entry("builder", "du", "Show what the build cache holds"),
    "builder history export": Entry("build_history", "export", "Write the record of a build"),
    "builder history import": Entry("build_history", "import_", "Keep the record of a build"),
    "builder history inspect": Entry("build_history", "inspect", "Show the record of a build"),
    "builder history logs": Entry("build_history", "logs", "Show what a build told"),
    "builder history ls": Entry("build_history", "ls", "List builds"),
    "builder history rm": Entry("build_history", "rm", "Forget builds"),
    "builder history trace": Entry("build_history", "trace", "Write a trace for Perfetto"),
    "builder prune": Entry("builder", "prune", "Remove build cache"),
    "system df": Entry("disk_space", "df", "Show disk usage"),
    "system dial-stdio": Entry("system", "dial_stdio", "Proxy the standard streams to the daemon", hidden=True),
    "system events": _EVENTS,
    "system info": _INFO,
    "system prune": Entry("disk_space", "prune_system", "Remove unused data"),
    "context create": Entry("context", "create", "Create a context"),
    "context inspect": Entry("context", "inspect", "Display detailed information on contexts"),
    "context ls": Entry("context", "ls", "List contexts"),
    "context list": Entry("context", "ls", "List contexts", hidden=True),
    "context rm": Entry("context", "rm", "Remove contexts"),
    "context show": Entry("context", "show", "Print the name of the current context"),
    "context use": Entry("context", "use", "Set the current context"),
    "manifest annotate": Entry("manifest", "annotate", "Say on which platform an image of a list runs"),
    "manifest create": Entry("manifest", "create", "Begin a list of images"),
    "manifest inspect": Entry("manifest", "inspect", "Show a manifest or a list"),
    "manifest push": Entry("manifest", "push", "Send a list to its registry"),
    "manifest rm": Entry("manifest", "rm", "Forget lists that are in the making"),
    "registry copy": Entry("registry", "copy", "Copy images between registries"),
    "registry gc": Entry("registry", "gc", "Remove what no image refers to"),
    "registry ls": Entry("registry", "ls", "List the repositories of a registry's store"),
    "registry undelete": Entry("registry", "undelete", "Bring back a deleted image"),
    "registry verify": Entry("registry", "verify", "Check every blob against its digest"),
    "registry retain": Entry("registry", "retain", "Delete what the retention rules let go"),
    "registry serve": Entry("registry", "serve", "Serve a registry"),
}


ELSEWHERE = {
    "compose": "Use docker-compose, or `docker compose`, with DOCKER_HOST set to lamina's socket",
    "buildx": "Use `lamina build`",
    "swarm": "lamina runs on one machine, and has no swarm",
    "service": "lamina runs on one machine, and has no services; see `lamina run --restart`",
    "stack": "lamina runs on one machine, and has no stacks; use docker-compose with DOCKER_HOST set to its socket",
    "node": "lamina runs on one machine, and has no nodes",
    "secret": "Mount a file with `lamina run -v`",
    "config": "Mount a file with `lamina run -v`",
    "plugin": "lamina has no plugins",
    "trust": "lamina does not sign images; pull by digest: NAME@sha256:…",
    "scout": "Use a scanner on what `lamina save` writes",
    "scan": "Use a scanner on what `lamina save` writes",
    "checkpoint": "lamina has no checkpoints",
    "dockerd": "Use `lamina daemon`",
}
"""What users of Docker's command line look for here in vain, and what they can do."""


def listed(group: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return what the help of a group lists: titles, with names and what they are for. "" is the top level."""
    names = names_in(group)
    paths = [(name, f"{group} {name}".lstrip()) for name in names]
    groups = [(name, GROUPS[path]) for name, path in paths if path in GROUPS]
    entries = [(name, COMMANDS[path]) for name, path in paths if path in COMMANDS]
    commands = [(name, entry.summary) for name, entry in entries if not entry.hidden]
    return [("Management Commands", groups), ("Commands", commands)]


def advice_on(group: str, name: str) -> str:
    """Return what to say after "No such command": a pointer, the closest name, or nothing."""
    if not group and name in ELSEWHERE:
        return f". {ELSEWHERE[name]}"
    from lamina.dockerfile.suggest import did_you_mean

    prefix = f"{group} " if group else ""
    hidden = {path.removeprefix(prefix) for path, entry in COMMANDS.items() if entry.hidden}
    near = did_you_mean(name, [other for other in names_in(group) if other not in hidden])
    return f". {near}" if near else ""


def names_in(group: str) -> list[str]:
    """Return the commands of a group, sorted. The group "" is the top level."""
    prefix = f"{group} " if group else ""
    names = {name.removeprefix(prefix).partition(" ")[0] for name in COMMANDS if name.startswith(prefix)}
    return sorted(names)
