"""Looking into images and containers: an engine and a client see the same, field by field."""

from __future__ import annotations

import io

import pytest

from lamina.types import BuildRequest, Config, HostConfig, Library, MemoryContext, NotFound, Search

pytestmark = pytest.mark.root
ALONE = HostConfig(network_mode="none")


def test_images_are_looked_into_the_same_way(libraries: dict[str, Library]) -> None:
    seen = []
    for library in libraries.values():
        dockerfile = "FROM base\nCOPY a /a\nCOPY b /a\n"
        library.builds.build(MemoryContext(dockerfile, {"a": b"1\n", "b": b"2\n"}), BuildRequest(tags=("seen:1",)))
        explorer = library.explorer
        blame = explorer.blame("seen:1", "/a")
        report = explorer.report("seen:1")
        assert [file.change for file in explorer.files("seen:1", layer=1) if file.name == "a"] == ["added"]
        assert [file.path for file in report.hidden] == ["/a"]
        assert [file.change for file in explorer.find("seen:1", Search(smallest=2, text="/a"))] == ["modified"]
        explorer.read("seen:1", "/a", sink := io.BytesIO(), layer=1)
        assert sink.getvalue() == b"1\n"
        assert explorer.layers("seen:1") == report.layers
        assert [child.name for child in explorer.weights("seen:1", layer=1).children] == ["a"]
        steps = [layer.created_by for layer in report.layers]
        seen.append((blame.touches, steps, report.efficiency, explorer.compare("base", "seen:1").files))
        with pytest.raises(NotFound):
            explorer.blame("seen:1", "/b")
        library.images.remove("seen:1")
    assert seen[0] == seen[1]


def test_findings_in_images_are_the_same(libraries: dict[str, Library]) -> None:
    seen = []
    for library in libraries.values():
        dockerfile = "FROM base\nENV API_TOKEN=abc\nCOPY netrc /root/.netrc\nCOPY lists /var/lib/apt/lists/x\n"
        files = {"netrc": b"machine x login y password z\n", "lists": b"l" * 5000}
        library.builds.build(MemoryContext(dockerfile, files), BuildRequest(tags=("found:1",)))
        explorer = library.explorer.with_credentials({})
        (cache,) = [saving for saving in explorer.savings("found:1") if saving.kind == "cache"]
        secrets = explorer.secrets("found:1")
        assert [secret.rule for secret in secrets] == ["secret-variable", "secret-variable", "netrc"]
        sharing = explorer.sharing("base", "found:1")
        assert [layer.diff_id for layer in sharing.layers] == [explorer.layers("base")[0].diff_id]
        places = explorer.sources("base").layers
        seen.append((cache, secrets, sharing.other_bytes, explorer.packages("found:1"), places))
        library.images.remove("found:1")
    assert seen[0] == seen[1]


def test_containers_are_looked_into_the_same_way(libraries: dict[str, Library]) -> None:
    seen = []
    for library in libraries.values():
        with library.containers.group() as group:
            group.create("seen-container", Config(image="base", cmd=("sh", "-c", "echo 1 > /new; rm /bin/vi")), ALONE)
            library.containers.start("seen-container")
            library.containers.wait("seen-container")
            explorer, reference = library.explorer, "container://seen-container"
            top = explorer.layers(reference)[-1]
            assert top.created_by == "changes of the container seen-container"
            (touch,) = explorer.blame(reference, "/new").touches
            changes = [(file.change, file.path) for file in explorer.compare("base", reference).files]
            report = explorer.report(reference)
            seen.append((touch.layer, touch.change, changes, report.tags, top.number))
    assert seen[0] == seen[1]
    assert {("added", "/new"), ("removed", "/bin/vi")} <= set(seen[0][2])
