"""The image that a result becomes: the client's config as far as it holds, with the layers that there are.

Rule: moby/buildkit, exporter/containerimage/writer.go. A history counts one step for each layer: missing steps are
added, and steps too many count as empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lamina.builder.stage import with_path
from lamina.formats.config import History, ImageConfig, RunConfig
from lamina.formats.digest import Digest
from lamina.formats.document import decode_object, encode
from lamina.formats.platform import Platform
from lamina.formats.times import format_time

_COMMENT = "buildkit.exporter.image.v0"  # what BuildKit writes for layers that no step tells of


def config_of(raw: bytes, diff_ids: Sequence[Digest], time_ns: int, platform: Platform | None) -> ImageConfig:
    """Return the config of an image with these layers; `raw` is the client's, b"" for none.

    Times that the client leaves open become `time_ns`. Raise InvalidInput for a config that cannot be.
    """
    created = format_time(time_ns) if time_ns else None
    if not raw:
        history = _matching((), len(diff_ids), created)
        return ImageConfig.build(
            platform=platform, config=with_path(RunConfig()), diff_ids=diff_ids, history=history, created=created
        )
    document = decode_object(raw, "image config")
    rootfs = {"type": "layers", "diff_ids": [str(diff_id) for diff_id in diff_ids]}
    if document.get("rootfs") != rootfs:
        config = ImageConfig.parse(encode({**document, "rootfs": rootfs}))
    else:
        config = ImageConfig.parse(raw)
    history = _matching(config.history, len(diff_ids), created)
    changes: dict[str, object] = {}
    if history != config.history:
        changes["history"] = history
    if config.created is None:
        # Rule: moby/buildkit, exporter/containerimage/writer.go, patchImageConfig.
        latest = next((step.created for step in reversed(history) if step.created), created)
        changes |= {"created": latest} if latest is not None else {}
    return config.replace(**changes) if changes else config


def _matching(history: Sequence[History], layers: int, created: str | None) -> tuple[History, ...]:
    """Return the history with one step for each layer."""
    steps = list(history)
    layer_steps = sum(not step.empty_layer for step in steps)
    steps += [History(created, "", _COMMENT)] * (layers - layer_steps)
    position = 0
    for number, step in enumerate(steps):
        if step.empty_layer:
            continue
        position += 1
        steps[number] = replace(step, empty_layer=position > layers, created=step.created or created)
    return tuple(steps)
