"""Cache mounts that begin with the files of an image or a stage.

Rule: moby/buildkit, solver/llbsolver/mounts. Each state of these files has a cache of its own, whose folder has the
owner and mode of theirs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from lamina.builder.layer_plan import write_files
from lamina.builder.ops.result import plan_below
from lamina.builder.run.step_files import StepFiles
from lamina.formats.config import chain_ids
from lamina.layers.layer import Layer
from lamina.layers.tree import Node, Tree
from lamina.layers.unpack import Style, unpack
from lamina.store.store import Store


def seeded_cache(
    files: StepFiles, store: Store, name: str, sharing: str, tree: Tree, layers: Sequence[Layer], source: Node
) -> Path:
    """Return the directory of a cache. A new one begins with what is below `source` in `tree`, which `layers` name."""
    chain = chain_ids(layer.diff_id for layer in layers)[-1:]
    owner = (source.entry.uid, source.entry.gid)

    def fill(directory: Path) -> None:
        if not source.is_directory:
            return
        root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with store.layers.create() as pending:
                pending.fill(lambda builder: write_files(builder, plan_below(tree, source.path).members(0)))
                unpack(pending.tar, root, Style.PLAIN)
        finally:
            os.close(root)

    return files.cache(f"{name}\0{chain}\0{source.path}", sharing, owner, source.entry.mode, fill)
