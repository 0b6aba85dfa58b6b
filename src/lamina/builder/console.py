"""Docker's classic build output, line by line: scripts read these lines."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from lamina.api.build_steps import BuildStep, PlannedStage
from lamina.dockerfile.checks.findings import Finding
from lamina.errors import CommandFailed, LaminaError
from lamina.formats.text import printable
from lamina.progress import Aux, Message, Output, Report


class Console:
    """Writes the lines of one build to a Report. A quiet console keeps them until an error needs them."""

    def __init__(self, report: Report, *, quiet: bool = False, explain: bool = False) -> None:
        self._report = report
        self._explain = explain
        self._quiet = quiet
        self._kept: list[Output] = []
        self._findings: list[Finding] = []
        self._known_findings: set[Finding] = set()  # of all platforms, which find the same

    every_stage = True
    """Whether all stages up to the target are built: scripts know Docker's classic output, which counts their steps."""

    def text(self, text: str, error: bool = False) -> None:
        """Show text as it is. `error` marks text from a command's standard error."""
        if self._quiet:
            self._kept.append(Output(text, error))
        else:
            self._report(Output(text, error))

    def line(self, text: str) -> None:
        """Show a line of ours. Text from the Dockerfile and names are made printable."""
        self.text(printable(f"{text}\n", "\n\t"))

    @contextmanager
    def aside(self, name: str) -> Iterator[Callable[[str], None]]:
        """Show the work of a block that is no step of the Dockerfile. What is provided warns about it."""
        self.line(name)
        yield lambda text: self.line(f"[WARNING]: {text}")

    def part(self, report: Report, platform: str = "") -> Console:
        """Return the console of one of several stages that are built at once, or of one platform. It tells `report`."""
        part = Console(report, explain=self._explain)
        part._known_findings = self._known_findings
        if platform:
            part.line(f"Building for {platform}")
        return part

    def take(self, message: Message) -> None:
        """Show a message of a part."""
        if isinstance(message, Output):
            self.text(message.text, message.error)
        elif not self._quiet:
            self._report(message)

    def part_failed(self, error: BaseException) -> None:
        """Hear that the stage of this part has failed. The build's own console shows why."""

    def planned(self, stages: Sequence[PlannedStage]) -> None:
        """Hear of all stages before the first of them begins."""

    def begins(self, stage: int, number: int) -> None:
        """Hear that a step of a stage begins; both count from 0, and FROM is step 0."""

    def stage(self, name: str, instructions: Sequence[str], has_base: bool) -> None:
        """Hear of a stage that begins, by BuildKit's name for it, "" for the only one.

        The first instruction is FROM. `has_base` tells whether it names an image: neither `scratch` nor a stage.
        """

    def step(self, number: int, total: int, instruction: str, expanded: str) -> None:
        """Hear of a step that begins: as it is written, and with the values of its variables."""
        self.line(f"Step {number}/{total} : {instruction}")

    def image(self, image_id: str) -> None:
        """Show the image that a step made; it is empty for FROM scratch."""
        self.line(f" ---> {short(image_id)}")

    def cached(self) -> None:
        self.line(" ---> Using cache")

    def explained(self, step: BuildStep) -> None:
        """Tell programs what became of a step, and why, if the build was asked for it."""
        if self._explain:
            self._report(Aux({"Step": step.to_json()}))

    def running(self, container_id: str) -> None:
        self.line(f" ---> Running in {short(container_id)}")

    def removed(self, container_id: str) -> None:
        self.line(f"Removing intermediate container {short(container_id)}")

    def stage_done(self, image_id: str) -> None:
        """Tell programs the ID of a finished stage."""
        if not self._quiet:
            self._report(Aux({"ID": image_id}))

    def findings(self, findings: Sequence[Finding]) -> None:
        """Hear what the checks of the Dockerfile found. It is shown when the build has ended, well or badly."""
        self._findings += [finding for finding in findings if finding not in self._known_findings]
        self._known_findings.update(findings)

    def _show_findings(self) -> None:
        count = len(self._findings)
        if count:
            warnings = "is one warning" if count == 1 else f"are {count} warnings"
            self.line(f"There {warnings} about the Dockerfile. `lamina build --check` shows the lines:")
            for finding in self._findings:
                self.line(f" - {finding}")
        self._findings.clear()

    def built(self, image_id: str, tags: list[str]) -> None:
        """Show the last lines."""
        self._show_findings()
        self.line(f"Successfully built {short(image_id)}")
        for tag in tags:
            self.line(f"Successfully tagged {tag}")
        if self._quiet:
            self._report(Output(f"{image_id}\n"))

    def failed(self, error: LaminaError) -> None:
        """Show where a command stands that failed, and what a quiet build kept back, so that the error makes sense.

        Scripts read the sentence about the command whole, so the place is not part of it.
        """
        self._show_findings()
        if isinstance(error, CommandFailed) and error.facts.get("excerpt"):
            self.line(f"Dockerfile line {error.facts['line']}:\n{error.facts['excerpt']}")
        if self._quiet:
            for output in self._kept:
                self._report(output)
            self._kept.clear()


def short(image_id: str) -> str:
    """Return the first twelve digits of an ID."""
    return image_id.removeprefix("sha256:")[:12]


def new_id() -> str:
    """Return a fresh ID in the form that containers have."""
    return secrets.token_hex(32)
