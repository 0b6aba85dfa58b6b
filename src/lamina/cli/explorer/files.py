"""The tree of an image's files at one layer, read folder by folder as they are opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.message import Message
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from lamina.api.explorer import Kind, ListedFile
from lamina.cli.explorer.labels import file_label

MOST = 5000  # files of one folder that are shown: a terminal takes seconds to lay out more
CHANGES: tuple[Kind, ...] = ("added", "modified", "removed", "")


@dataclass(frozen=True, slots=True)
class Place:
    """A file in the tree, with its whole path."""

    path: str
    file: ListedFile


class FileTree(Tree[Place]):
    """Files. `visible_changes` has the kinds of changes that are shown; a folder is always shown.

    A folder that is opened posts `Opened`; whoever reads it calls `fill`.
    """

    @dataclass
    class Opened(Message):
        """A folder whose files are needed: "" for the root."""

        path: str
        node: TreeNode[Place]

    def __init__(self) -> None:
        super().__init__("/", id="files")
        self.visible_changes: set[str] = set(CHANGES)
        self._open: set[str] = set()
        self._filled: set[TreeNode[Place]] = set()
        self._goal = ""

    def restart(self, goal: str = "") -> None:
        """Read everything anew, and open again what was open. `goal` is a path to be found and selected then."""
        self._goal = goal
        self._open |= set(_parents(goal))
        self._filled.clear()
        self.root.remove_children()
        self.root.expand()
        self.post_message(self.Opened("", self.root))

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Place]) -> None:
        if event.node is not self.root:
            path = event.node.data.path if event.node.data else ""
            self._open.add(path)
            if event.node not in self._filled:
                self.post_message(self.Opened(path, event.node))

    def on_tree_node_collapsed(self, event: Tree.NodeCollapsed[Place]) -> None:
        if event.node.data:
            self._open.discard(event.node.data.path)

    def fill(self, node: TreeNode[Place], path: str, files: Sequence[ListedFile]) -> None:
        """Show the files of a folder that posted `Opened`."""
        self._filled.add(node)
        node.remove_children()
        visible = [f for f in files if f.state.type == "directory" or f.change in self.visible_changes]
        for file in visible[:MOST]:
            place = Place(f"{path}/{file.name}", file)
            is_folder = file.state.type == "directory"
            if is_folder and file.change != "removed":
                child = node.add(file_label(file), place)
                if place.path in self._open:
                    child.expand()
            else:
                child = node.add_leaf(file_label(file), place)
            if place.path == self._goal:
                self._goal = ""
                self.call_after_refresh(self.move_cursor, child)
        if len(visible) > MOST:
            node.add_leaf(f"… and {len(visible) - MOST} more: search for them")

    def refilter(self) -> None:
        """Show the folders again that were read, after `visible_changes` changed."""
        self.restart()


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(2, len(parts))]
