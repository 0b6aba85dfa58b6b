"""Images between a store and a registry, whole, in part, interrupted and at once."""

from __future__ import annotations

import threading
from contextlib import closing
from itertools import chain, repeat
from pathlib import Path

import pytest

from lamina.distribution import RegistryClient, Retry, inspect, pull, pull_all, push, search
from lamina.distribution.copy import copy
from lamina.engine.registries import Registries
from lamina.errors import Corrupt, InvalidInput, NotFound, Unavailable, Unsupported
from lamina.events import EventBus
from lamina.formats.config import ImageConfig
from lamina.formats.descriptor import DOCKER_MANIFEST, OCI_CONFIG, OCI_EMPTY, OCI_LAYER, OCI_MANIFEST, Descriptor
from lamina.formats.digest import Digest
from lamina.formats.manifest import Index, Manifest
from lamina.formats.platform import Platform
from lamina.formats.reference import Reference
from lamina.images.images import Images
from lamina.progress import Message, Status, ignore
from lamina.store.store import Store
from support.cutting import CuttingProxy, between
from support.registries import Raw, Running, Start, make_image, make_layer, patient

MIB = 1 << 20


def at(registry: Running, name: str) -> Reference:
    return Reference.parse(f"{registry.address}/{name}")


class Heard(list[Message]):
    """A report that remembers."""

    def __call__(self, message: Message) -> None:
        self.append(message)

    def statuses(self) -> list[str]:
        return [message.status for message in self if isinstance(message, Status)]


def test_an_image_goes_out_and_comes_back_the_same(
    registry: Running, store: Store, other_store: Store, client: RegistryClient
) -> None:
    config, layers = make_image(store, 3 * MIB, 10, 0)
    with store.lease():
        pushed = push(at(registry, "a/b:1"), config, layers, store, ignore, client=client)
    heard = Heard()
    with other_store.lease():
        pulled = pull(at(registry, "a/b:1"), None, other_store, heard, client=client)
        assert pulled.manifest.digest == pushed.digest
        assert pulled.config == config
        assert [layer.diff_id for layer in pulled.layers] == [layer.diff_id for layer in layers]
        for ours, theirs in zip(layers, pulled.layers, strict=True):
            assert ours.tar.read_bytes() == theirs.tar.read_bytes()
        assert {"Pulling fs layer", "Download complete", "Pull complete"} <= set(heard.statuses())
        again = Heard()
        pull(at(registry, "a/b:1"), None, other_store, again, client=client)
        assert again.statuses().count("Already exists") == 3
        by_digest = at(registry, "a/b").with_digest(pushed.digest)
        assert pull(by_digest, None, other_store, ignore, client=client).manifest == pulled.manifest


def test_a_second_push_moves_nothing_and_another_repository_mounts(
    registry: Running, store: Store, client: RegistryClient
) -> None:
    config, layers = make_image(store, MIB, 2 * MIB)
    with store.lease():
        first = push(at(registry, "a:1"), config, layers, store, ignore, client=client)
        second, third = Heard(), Heard()
        push(at(registry, "a:2"), config, layers, store, second, client=client)
        mounted = push(at(registry, "b/c:1"), config, layers, store, third, client=client)
    assert second.statuses().count("Layer already exists") == 2
    assert third.statuses().count("Mounted from a") == 2
    assert mounted.digest == first.digest


@pytest.mark.parametrize("family", [OCI_MANIFEST, DOCKER_MANIFEST])
def test_a_pulled_manifest_is_pushed_byte_for_byte(
    registry: Running, store: Store, other_store: Store, client: RegistryClient, family: str
) -> None:
    config, layers = make_image(store, MIB)
    with store.lease():
        first = push(at(registry, "a:1"), config, layers, store, ignore, client=client, media_type=family)
    with other_store.lease():
        pulled = pull(at(registry, "a:1"), None, other_store, ignore, client=client)
        parts = (pulled.config, pulled.layers, other_store, ignore)
        again = push(at(registry, "z:9"), *parts, client=client, manifest=pulled.manifest)
    assert again == first


def test_platforms_are_chosen_from_an_index(
    registry: Running, store: Store, other_store: Store, client: RegistryClient
) -> None:
    entries = []
    with store.lease():
        for name in ("linux/amd64", "linux/arm64"):
            layer = make_layer(store, name.replace("/", "-"), 1000)
            config = ImageConfig.build(platform=Platform.parse(name), diff_ids=[layer.diff_id])
            one = push(at(registry, "m"), config, [layer], store, ignore, client=client, media_type=OCI_MANIFEST)
            entries.append(Descriptor(one.media_type, one.digest, one.size, Platform.parse(name)))
        index = Index.build(entries)
        client.repository(at(registry, "m:1")).put_manifest(index, "1")
    with other_store.lease():
        arm = pull(at(registry, "m:1"), Platform.parse("linux/arm64"), other_store, ignore, client=client)
        assert arm.config.architecture == "arm64"
        assert arm.index == index
        assert len(pull_all(at(registry, "m:1"), other_store, ignore, client=client)) == 2
        with pytest.raises(NotFound, match="linux/amd64"):
            pull(at(registry, "m:1"), Platform.parse("linux/s390x"), other_store, ignore, client=client)
    assert [str(p) for p in inspect(client, at(registry, "m:1")).platforms] == ["linux/amd64", "linux/arm64"]


def test_copies_keep_digests_platforms_and_referrers(start: Start, store: Store, client: RegistryClient) -> None:
    here, there = start(), start()
    config, layers = make_image(store, 100_000)
    with store.lease():
        one = push(at(here, "m"), config, layers, store, ignore, client=client)
    index = Index.build([Descriptor(one.media_type, one.digest, one.size, Platform.host())])
    client.repository(at(here, "m:1")).put_manifest(index, "1")
    with closing(Raw(here.address)) as raw:
        raw.push_blob("m", b"{}")
        empty = Descriptor.of(OCI_EMPTY, b"{}")
        signature = Manifest.build(empty, [], subject=index.descriptor, artifact_type="sig/x")
        raw.push_manifest("m", None, signature)
    copied = copy(at(here, "m:1"), at(there, "n/m:2"), ignore, client=client)
    assert copied.digest == index.digest
    goal = client.repository(at(there, "n/m"))
    assert goal.manifest("2").raw == index.raw
    assert goal.manifest(one.digest).digest == one.digest
    assert [entry.digest for entry in goal.referrers(index.digest)] == [signature.digest]
    assert copy(at(here, "m:1"), at(there, "n/m:2"), ignore, client=client).bytes == 0


def test_a_pull_through_cuts_completes_and_fetches_nothing_twice(
    registry: Running, store: Store, other_store: Store
) -> None:
    sizes = (6 * MIB, 4 * MIB)
    config, layers = make_image(store, *sizes)
    with RegistryClient(patient()) as client, store.lease():
        push(at(registry, "a:1"), config, layers, store, ignore, client=client)
    with CuttingProxy(registry.address, between(100_000, 900_000)) as proxy:
        with RegistryClient(patient()) as client, other_store.lease():
            pulled = pull(Reference.parse(f"{proxy.address}/a:1"), None, other_store, ignore, client=client)
    assert [layer.diff_id for layer in pulled.layers] == [layer.diff_id for layer in layers]
    assert proxy.cuts >= 10
    overhead = proxy.downstream - sum(layer.size for layer in manifest_layers(pulled.manifest))
    assert overhead < 64 * 1024 * (proxy.cuts + 2)  # what was on its way when a connection died


def manifest_layers(manifest: Manifest) -> tuple[Descriptor, ...]:
    return manifest.layers


def test_a_push_through_cuts_completes(registry: Running, store: Store, other_store: Store) -> None:
    config, layers = make_image(store, 6 * MIB, 3 * MIB)
    with CuttingProxy(registry.address, between(200_000, 1_500_000)) as proxy:
        with RegistryClient(patient()) as client, store.lease():
            push(Reference.parse(f"{proxy.address}/a:1"), config, layers, store, ignore, client=client)
    assert proxy.cuts >= 5
    assert proxy.upstream < 2 * 9 * MIB
    with RegistryClient(patient()) as client, other_store.lease():
        pulled = pull(at(registry, "a:1"), None, other_store, ignore, client=client)
    assert [layer.diff_id for layer in pulled.layers] == [layer.diff_id for layer in layers]


def test_a_pull_goes_on_after_a_restart(
    registry: Running, store: Store, tmp_path: Path, client: RegistryClient
) -> None:
    config, layers = make_image(store, 8 * MIB)
    with store.lease():
        push(at(registry, "a:1"), config, layers, store, ignore, client=client)
    budgets = chain([10_000, 3 * MIB], repeat(0))
    with (
        Store.open(tmp_path / "second") as second,
        CuttingProxy(registry.address, budgets) as proxy,
    ):
        impatient = patient(retry=Retry(attempts=1))
        with RegistryClient(impatient) as weak, second.lease():
            with pytest.raises(Unavailable):
                pull(Reference.parse(f"{proxy.address}/a:1"), None, second, ignore, client=weak)
    with Store.open(tmp_path / "second") as second, CuttingProxy(registry.address, repeat(99 * MIB)) as proxy:
        with RegistryClient(patient()) as again, second.lease():
            pull(Reference.parse(f"{proxy.address}/a:1"), None, second, ignore, client=again)
    assert proxy.downstream < 7.2 * MIB


def test_two_pulls_at_once_share_the_work(
    registry: Running, store: Store, other_store: Store, client: RegistryClient
) -> None:
    config, layers = make_image(store, MIB, MIB // 2)
    with store.lease():
        push(at(registry, "a:1"), config, layers, store, ignore, client=client)
    results = []
    heard = Heard()
    with other_store.lease():

        def work() -> None:
            results.append(pull(at(registry, "a:1"), None, other_store, heard, client=client))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(results) == 4
    assert heard.statuses().count("Pull complete") == 2


def test_no_image_puts_its_bytes_in_the_place_of_a_layer_of_others(
    registry: Running, store: Store, client: RegistryClient
) -> None:
    """A manifest may name any blob for a layer that is here, since nobody fetches it."""
    config, layers = make_image(store, 5000)
    with closing(Raw(registry.address)) as raw, store.lease():
        evil = b"\1" * 10240
        raw.push_blob("evil", config.raw)
        raw.push_blob("evil", evil)
        lying = Manifest.build(Descriptor.of(OCI_CONFIG, config.raw), [Descriptor.of(OCI_LAYER, evil)])
        raw.push_manifest("evil", "1", lying)
        pull(at(registry, "evil:1"), None, store, ignore, client=client)
        push(at(registry, "mine:1"), config, layers, store, ignore, client=client)
    pushed = client.repository(at(registry, "mine")).manifest("1")
    assert isinstance(pushed, Manifest)
    assert pushed.layers[0].digest != Digest.of(evil)


def test_wrong_content_is_never_kept(registry: Running, other_store: Store, client: RegistryClient) -> None:
    with closing(Raw(registry.address)) as raw:
        image = raw.push_image("a", "good", "x")
        lying = ImageConfig.build(diff_ids=[Digest.of(b"something else")])
        raw.push_blob("a", lying.raw)
        config = Descriptor.of(OCI_CONFIG, lying.raw)
        tar = b"\0" * 10240
        raw.push_blob("a", tar)
        bad_layer = Descriptor.of(OCI_LAYER, tar)
        raw.push_manifest("a", "diff-id", Manifest.build(config, [bad_layer]))
        raw.push_manifest("a", "count", Manifest.build(config, [bad_layer, bad_layer]))
        short = Descriptor(OCI_LAYER, bad_layer.digest, 5)
        raw.push_manifest("a", "size", Manifest.build(config, [short]))
        artifact = Manifest.build(Descriptor.of("text/plain", b"{}"), [])
        raw.push_manifest("a", "artifact", artifact)
    expected = {"diff-id": Corrupt, "count": InvalidInput, "size": Corrupt, "artifact": Unsupported, "no": NotFound}
    with other_store.lease():
        for tag, kind in expected.items():
            with pytest.raises(kind):
                pull(at(registry, f"a:{tag}"), None, other_store, ignore, client=client)
    assert not other_store.layers.has(bad_layer.digest)
    assert image.is_image


def test_mirrors_are_asked_first_and_forgiven(start: Start, store: Store, other_store: Store) -> None:
    mirror, origin = start(), start()
    config, layers = make_image(store, 1000)
    with RegistryClient(patient()) as client, store.lease():
        push(at(mirror, "a:mirrored"), config, layers, store, ignore, client=client)
        push(at(origin, "a:direct"), config, layers, store, ignore, client=client)
    settings = patient(mirrors={origin.address: ("http://127.0.0.1:1", f"http://{mirror.address}")})
    with RegistryClient(settings) as client, other_store.lease():
        for tag in ("mirrored", "direct"):
            assert pull(at(origin, f"a:{tag}"), None, other_store, ignore, client=client).config == config


def test_a_mirror_tells_of_images_as_well(start: Start, store: Store) -> None:
    """`/distribution/NAME/json` and the tags of `pull -a` come from where the images come from."""
    mirror, origin = start(), start()
    config, layers = make_image(store, 1000)
    with RegistryClient(patient()) as client, store.lease():
        for tag in ("1", "2"):
            pushed = push(at(mirror, f"a:{tag}"), config, layers, store, ignore, client=client)
        push(at(origin, "b:1"), config, layers, store, ignore, client=client)
    settings = patient(mirrors={origin.address: (f"http://{mirror.address}",)})
    with RegistryClient(settings) as client:
        assert inspect(client, at(origin, "a:1")).document.digest == pushed.digest
        assert inspect(client, at(origin, "b:1")).document.digest == pushed.digest
    origin.stop()
    registries = Registries(store, Images(store, EventBus()), settings)
    assert len(registries.pull(str(at(origin, "a")), all_tags=True)) == 2


def test_search_looks_through_the_catalog_where_there_is_no_search(registry: Running, client: RegistryClient) -> None:
    with closing(Raw(registry.address)) as raw:
        for name in ("web/front", "web/back", "db"):
            raw.push_blob(name, b"{}")
    found = search(client, f"{registry.address}/web")
    assert [one.name for one in found] == [f"{registry.address}/web/back", f"{registry.address}/web/front"]
