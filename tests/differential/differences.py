"""All that may differ between an image of a real engine and lamina's, each with its reason.

The tests fail as well when a difference that is listed here does not occur any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# Keys of the image's document and of its `config` that may differ in every case.
EVERYWHERE = {
    "buildkit": {
        "created": "a time",
        "config.ArgsEscaped": "deprecated by OCI, and it concerns Windows alone",
    },
    "classic": {
        "created": "a time",
        "container": "the id of the container that made the last step: lamina's digest does not depend on ids",
        "container_config": "Docker repeats the last step's container here; no tool reads it, OCI does not have it",
        "parent": "squashed images alone carry their parent's ID, a local fact",
        "docker_version": "the builder's version: lamina's digest does not depend on it",
        "config.Image": "the parent's ID: a local fact, which lamina keeps beside the image, not in its digest",
    },
}
# What may differ in the cases that name it.
REASONS = {
    # From BuildKit.
    "empty layer": "BuildKit adds a layer without files for a step that changes none; lamina adds no layer",
    "working directory of scratch": "BuildKit writes / for an image without a base, which is the default",
    "platform of scratch": "FROM --platform=X scratch makes an image for X; BuildKit leaves the platform of the build",
    "labels of the command line": "lamina's history tells of labels of the command line, as the classic builder's does",
    "triggers in history": "lamina's history tells of ONBUILD, as the classic builder's does",
    "several sources": "BuildKit copies several files onto one, the last one wins; the reference wants a directory",
    "argument over environment": "BuildKit lets an ARG behind an ENV win in RUN; in the reference ENV always wins",
    "target by number": "Docker knows targets by name only; to lamina a number means the stage as well",
    "comment of the base": "a build without steps is its base image; BuildKit drops the comment of the base",
    "empty WORKDIR": "BuildKit stays where it is when WORKDIR expands to nothing; lamina refuses what is a mistake",
    "unknown user": "BuildKit gives files to root when the image has no user of this name; lamina refuses the name",
    "link to a directory": "BuildKit refuses a directory in place of a link to a directory; lamina follows the link",
    "other kind": "BuildKit refuses a file in place of a directory, and a directory in place of a file",
    "container's files": "BuildKit's steps lack /.dockerenv, /etc/hostname and /etc/mtab, which containers have",
    "writable mounts": "BuildKit's steps cannot write to /etc/resolv.conf and /etc/hosts; in containers that works",
    # From the classic builder, where lamina does as BuildKit does (docs/coming-from-docker.md).
    "owner of WORKDIR": "WORKDIR makes its directory for the user of USER",
    "owner of parents": "--chown owns the folders above a copied folder too",
    "special bits": "a set-user-ID file stays one",
    "last health check": "a HEALTHCHECK takes nothing over from an earlier one",
    "group of a user": "a user without a group stands for the user's own group",
    "nothing matches": "wildcards may match nothing",
    "files in volumes": "what a step writes to a volume stays in the image",
    "owner of archives": "--chown owns the files of an archive too",
    "link kept": "a link to a directory stays, and is followed",
}


@dataclass(frozen=True)
class Difference:
    """What differs in a case: paths of the tree, keys of the config, or which of the two engines refuses the build."""

    why: str
    paths: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    refused_by: Literal["", "real", "lamina"] = ""


def paths(why: str, *names: str) -> Difference:
    return Difference(why, paths=frozenset(names))


def keys(why: str, *names: str) -> Difference:
    return Difference(why, keys=frozenset(names))


NONE = Difference("")
EMPTY_LAYER = keys("empty layer", "layers", "history")
SCRATCH = keys("working directory of scratch", "config.WorkingDir")
