"""What the messages of a build tell its client: the image, the steps, files of outputs, and questions."""

from __future__ import annotations

from base64 import b64decode

from lamina.light import TYPE_CHECKING
from lamina.progress import Aux, Output

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from lamina.api.build_steps import BuildStep
    from lamina.progress import Message


class BuildMessages:
    """What the messages of a build have told so far.

    `take` gets the files of its outputs, and `content` answers its questions about folders of caches.
    """

    def __init__(
        self, take: Callable[[int, bytes | None], object], content: Callable[[Mapping[str, Any]], object] | None
    ) -> None:
        self._take = take
        self._content = content
        self.image = ""
        self.steps: list[BuildStep] = []
        self.metadata: dict[str, str] = {}

    def is_text(self, message: Message) -> bool:
        """Note a message. Return whether it is also for those who watch the build."""
        if isinstance(message, Output) and message.text.startswith("sha256:"):
            self.image = message.text.strip()  # all that a quiet build says
        if not isinstance(message, Aux):
            return True
        value = message.value
        if "Output" in value:
            data = value.get("Data")
            self._take(int(value["Output"]), None if data is None else b64decode(str(data)))
            return False
        if "Content" in value and self._content is not None:
            self._content(value["Content"])
            return False
        if "ID" in value:
            self.image = str(value["ID"])
        elif "Step" in value:
            from lamina.api.build_steps import BuildStep

            self.steps.append(BuildStep.from_json(value["Step"]))
        elif "Metadata" in value:
            self.metadata = dict(value["Metadata"])
        return True
