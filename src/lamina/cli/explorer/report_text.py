"""What is in an image, as lines of text: its layers, what could be saved, packages, secrets, what is shared."""

from __future__ import annotations

from collections.abc import Iterable

from lamina.api.explorer import Blame, FileState, ImageReport, Touch
from lamina.api.explorer_findings import ImageSources, InstalledPackage, Saving, Secret, Sharing
from lamina.cli.file_modes import kind_and_mode
from lamina.formats.sizes import human_size
from lamina.formats.text import printable

_SHOWN = 20


def one_line(text: str) -> str:
    """Return a text without line ends, fit for a terminal."""
    return printable(" ".join(text.split()))


def report_lines(report: ImageReport) -> Iterable[str]:
    """Yield the layers, the efficiency, and the largest hidden files."""
    names = ", ".join(report.tags) or "without a name"
    yield printable(f"{report.id}  {names}  {report.platform}")
    yield ""
    yield "LAYER      SIZE  CREATED BY"
    for layer in report.layers:
        yield f"{layer.number:5}  {human_size(layer.size, 3):>8}  {one_line(layer.created_by)}"
    efficiency = report.efficiency
    repeated = f"{human_size(efficiency.wasted, 3)} in paths that several layers write"
    yield ""
    yield f"Efficiency {efficiency.score:.2%}, {repeated} ({efficiency.wasted_share:.1%} of all but the first layer)"
    if report.hidden_files:
        yield f"Hidden by later layers: {report.hidden_files} files, {human_size(report.hidden_bytes, 3)}"
        yield ""
        yield "    SIZE  LAYER  HIDDEN BY  PATH"
        for file in report.hidden[:_SHOWN]:
            size = human_size(file.size, 3)
            yield f"{size:>8}  {file.layer:5}  {file.hidden_by:9}  {printable(file.path)}"


def saving_lines(savings: Iterable[Saving]) -> Iterable[str]:
    """Yield for each saving its bytes, its instruction, what to change, and the largest files."""
    for saving in savings:
        head = f"{human_size(saving.bytes, 3):>8}  {saving.kind:9}  layer {saving.layer}, {saving.files} files"
        yield f"{head}  {one_line(saving.created_by)}"
        yield f"          {saving.advice}"
        yield from (f"          {printable(path)}" for path in saving.paths[:3])


def package_lines(packages: Iterable[InstalledPackage]) -> Iterable[str]:
    """Yield a line for each package with its licences."""
    for package in packages:
        licenses = ", ".join(package.licenses) or "-"
        yield printable(f"{package.kind:4}  {package.name} {package.version}  {licenses}")


def secret_lines(secrets: Iterable[Secret]) -> Iterable[str]:
    """Yield a line for each possible secret: where it is and why it is listed."""
    for secret in secrets:
        layer = "     -" if secret.layer is None else f"{secret.layer:6}"
        line = f":{secret.line}" if secret.line else ""
        hidden = "" if secret.hidden_by is None else f" (hidden by layer {secret.hidden_by}, and in the image still)"
        yield printable(f"{layer}  {secret.where:7}  {secret.name}{line}  {secret.rule}: {secret.reason}{hidden}")


def sharing_lines(sharing: Sharing) -> Iterable[str]:
    """Yield what two images share, layer by layer, and the largest equal files."""
    yield f"Shared: {len(sharing.layers)} layers, {human_size(sharing.shared_bytes, 3)}"
    for layer in sharing.layers:
        yield f"{human_size(layer.size, 3):>8}  {one_line(layer.created_by) or layer.diff_id}"
    own, other = human_size(sharing.own_bytes, 3), human_size(sharing.other_bytes, 3)
    yield f"Of their own: {own} and {other}"
    equal = human_size(sharing.equal_bytes, 3)
    yield f"Equal files in different layers: {sharing.equal_files}, {equal}"
    for file in sharing.equal[:_SHOWN]:
        also = "" if file.path == file.other_path else f"  and {file.other_path}"
        yield f"{human_size(file.size, 3):>8}  {printable(file.path + also)}"


def source_line(sources: ImageSources) -> str:
    """Return how many bytes of an image were fetched, and from where its layers are read."""
    places = ", ".join(sorted({layer.read_from for layer in sources.layers})) or "nothing"
    fetched, size = human_size(sources.fetched, 3), human_size(sources.size, 3)
    return f"fetched {fetched} of {size} since the daemon started; layers are read from: {places}"


def blame_lines(blame: Blame) -> Iterable[str]:
    """Yield the path, and a line for each layer that touched it."""
    yield printable(blame.path)
    for touch in blame.touches:
        yield f"{touch.layer:5}  {touch.change:8}  {_touched(touch)}  {one_line(touch.created_by)}"


def _touched(touch: Touch) -> str:
    note = "  (same content)" if touch.same_content else ""
    return f"{_mode(touch.state)}{note}" if touch.state else "-"


def _mode(state: FileState) -> str:
    return f"{kind_and_mode(state)} {state.uid}:{state.gid} {human_size(state.size, 3)}"
