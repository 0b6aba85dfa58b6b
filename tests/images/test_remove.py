"""`rmi` by dockerd's rules: names, children, containers, layers."""

from __future__ import annotations

import pytest

from lamina.errors import Conflict, NotFound
from lamina.formats.config import chain_ids
from lamina.formats.digest import Digest
from lamina.formats.reference import Reference
from lamina.images.image import Image, ImageUser
from lamina.images.remove import Deleted, Removal, Untagged
from support.gallery import Gallery

CONTAINER = "c" * 64


def lines(removed: list[Removal]) -> list[str]:
    """As `docker rmi` prints them."""
    return [f"Untagged: {i.reference}" if isinstance(i, Untagged) else f"Deleted: {i.digest}" for i in removed]


def use(gallery: Gallery, image: Image, *, running: bool) -> None:
    gallery.users[image.id] = [ImageUser(CONTAINER, running)]


def test_the_last_name_takes_the_image_and_its_layers(gallery: Gallery) -> None:
    image = gallery.image({"a": b"1"}, {"b": b"2"}, names=["app"])
    chains = chain_ids(image.config.diff_ids)[::-1]
    removed = gallery.images.remove("app")
    assert lines(removed) == [
        "Untagged: app:latest",
        f"Deleted: {image.id}",
        *(f"Deleted: {chain}" for chain in chains),
    ]
    assert gallery.content() == set()
    assert [event[0] for event in gallery.events()] == ["tag", "untag", "delete"]


def test_a_plan_tells_what_a_removal_does_and_changes_nothing(gallery: Gallery) -> None:
    gallery.image({"a": b"1"}, {"b": b"22"}, names=["app"])
    gallery.image({"a": b"1"}, {"c": b"333"}, names=["other"])
    content, events = gallery.content(), gallery.events()
    plan = gallery.images.removal_plan("app")
    assert gallery.content() == content
    assert gallery.events() == events
    assert plan.reclaimed == 2  # the first layer stays for the other image
    assert list(plan.removed) == gallery.images.remove("app")


def test_a_plan_is_refused_like_its_removal(gallery: Gallery) -> None:
    use(gallery, gallery.image({"a": b"1"}, names=["app"]), running=False)
    with pytest.raises(Conflict, match="container cccccccccccc is using"):
        gallery.images.removal_plan("app")
    assert lines(list(gallery.images.removal_plan("app", force=True).removed))[0] == "Untagged: app:latest"
    with pytest.raises(NotFound):
        gallery.images.removal_plan("nothing")


def test_one_of_two_names_only_untags(gallery: Gallery) -> None:
    image = gallery.image({"a": b"1"}, names=["app:1", "app:2"])
    assert lines(gallery.images.remove("app:1")) == ["Untagged: app:1"]
    assert gallery.images.get("app:2").id == image.id


def test_by_id_an_image_with_one_name_goes(gallery: Gallery) -> None:
    image = gallery.image({"a": b"1"}, names=["app"])
    assert lines(gallery.images.remove(image.id.short))[:2] == ["Untagged: app:latest", f"Deleted: {image.id}"]


def test_by_id_an_image_with_two_names_needs_force(gallery: Gallery) -> None:
    image = gallery.image({"a": b"1"}, names=["app", "app:2"])
    with pytest.raises(Conflict) as caught:
        gallery.images.remove(image.id.short)
    assert caught.value.message == (
        f"conflict: unable to delete {image.id.short} (must be forced) - image is referenced in multiple repositories"
    )
    assert lines(gallery.images.remove(image.id.short, force=True))[:3] == [
        "Untagged: app:2",
        "Untagged: app:latest",
        f"Deleted: {image.id}",
    ]


def test_digests_go_with_the_last_tag_of_their_repository(gallery: Gallery) -> None:
    image = gallery.image({"a": b"1"}, names=["app", "other"])
    pinned = Reference.parse("app").with_digest(Digest.of(b"manifest"))
    gallery.images.add_digest(image, pinned)
    assert lines(gallery.images.remove("app")) == ["Untagged: app:latest", f"Untagged: {pinned.familiar()}"]
    assert [name.familiar() for name in gallery.images.get("other").references] == ["other:latest"]


def test_layers_that_others_need_stay(gallery: Gallery) -> None:
    gallery.image({"a": b"1"}, {"b": b"2"}, names=["one"])
    two = gallery.image({"a": b"1"}, {"c": b"3"}, names=["two"])
    assert len([line for line in lines(gallery.images.remove("one")) if line.startswith("Deleted")]) == 2
    for layer in two.layers:
        gallery.store.layers.verify(layer.diff_id)


def test_a_stopped_container_keeps_the_name(gallery: Gallery) -> None:
    image = gallery.image({"a": b"1"}, names=["app"])
    use(gallery, image, running=False)
    with pytest.raises(Conflict) as caught:
        gallery.images.remove("app")
    assert caught.value.message == (
        'conflict: unable to remove repository reference "app" (must force) - '
        f"container {'c' * 12} is using its referenced image {image.id.short}"
    )
    assert caught.value.facts["container"] == CONTAINER
    with pytest.raises(Conflict) as caught:
        gallery.images.remove(image.id.short)
    assert caught.value.message == (
        f"conflict: unable to delete {image.id.short} (must be forced) - "
        f"image is being used by stopped container {'c' * 12}"
    )


def test_force_takes_an_image_from_a_stopped_container(gallery: Gallery) -> None:
    image = gallery.image({"a": b"1"}, names=["app"])
    use(gallery, image, running=False)
    with gallery.store.transaction() as tx:
        tx.link(f"container:{CONTAINER}", [image.id, *image.config.diff_ids])
    assert lines(gallery.images.remove("app", force=True)) == ["Untagged: app:latest", f"Deleted: {image.id}"]
    gallery.store.layers.verify(image.layers[0].diff_id)
    with gallery.store.transaction() as tx:
        tx.unlink(f"container:{CONTAINER}")
    assert gallery.content() == set()


def test_a_running_container_leaves_it_untagged_when_forced(gallery: Gallery) -> None:
    image = gallery.image({"a": b"1"}, names=["app"])
    use(gallery, image, running=True)
    with pytest.raises(Conflict):
        gallery.images.remove(image.id.short, force=True)
    assert lines(gallery.images.remove("app", force=True)) == ["Untagged: app:latest"]
    with pytest.raises(Conflict) as caught:
        gallery.images.remove(image.id.short, force=True)
    assert caught.value.message == (
        f"conflict: unable to delete {image.id.short} (cannot be forced) - "
        f"image is being used by running container {'c' * 12}"
    )


def test_with_two_names_a_container_does_not_matter(gallery: Gallery) -> None:
    image = gallery.image({"a": b"1"}, names=["app:1", "app:2", "b:1"])
    use(gallery, image, running=True)
    assert lines(gallery.images.remove("app:1")) == ["Untagged: app:1"]


def test_parents_go_with_their_last_child(gallery: Gallery) -> None:
    base = gallery.image({"a": b"1"}, names=["base"])
    step = gallery.image({"b": b"2"}, parent=base)
    app = gallery.image({"c": b"3"}, parent=step, names=["app"])
    with pytest.raises(Conflict) as caught:
        gallery.images.remove(step.id.short)
    assert caught.value.message.endswith("(cannot be forced) - image has dependent child images")
    removed = [item.digest for item in gallery.images.remove("app") if isinstance(item, Deleted) and item.is_image]
    assert removed == [app.id, step.id]
    assert gallery.images.get("base").id == base.id


def test_without_prune_parents_stay(gallery: Gallery) -> None:
    step = gallery.image({"b": b"2"})
    gallery.image({"c": b"3"}, parent=step, names=["app"])
    gallery.images.remove("app", prune=False)
    assert gallery.images.get(step.id).id == step.id


def test_a_parent_with_another_child_stays(gallery: Gallery) -> None:
    step = gallery.image({"b": b"2"})
    gallery.image({"c": b"3"}, parent=step, names=["one"])
    gallery.image({"d": b"4"}, parent=step, names=["two"])
    gallery.images.remove("one")
    assert gallery.images.children(step.id) == (gallery.images.get("two").id,)


def test_a_name_with_children_is_untagged_quietly(gallery: Gallery) -> None:
    base = gallery.image({"a": b"1"}, names=["base"])
    gallery.image({"b": b"2"}, parent=base, names=["app"])
    assert lines(gallery.images.remove("base")) == ["Untagged: base:latest"]
    assert gallery.images.get(base.id).references == ()


def test_nothing_to_remove(gallery: Gallery) -> None:
    with pytest.raises(NotFound) as caught:
        gallery.images.remove("app")
    assert caught.value.message == "No such image: app:latest"


def test_a_parent_that_went_meanwhile_is_no_parent(gallery: Gallery) -> None:
    base = gallery.image({"a": b"1"}, names=["base"])
    with gallery.store.lease() as lease:
        assert all(lease.add(digest) for digest in base.config.diff_ids)
        gallery.images.remove("base")
        app = gallery.image({"b": b"2"}, parent=base, names=["app"])
    assert app.parent is None
    assert list(gallery.store.verify()) == []
    gallery.images.remove("app")
    assert gallery.images.list(all=True) == []
