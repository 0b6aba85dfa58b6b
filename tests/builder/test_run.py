"""RUN in real containers."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import pytest

from lamina.api.build import BuildRequest
from lamina.builder.builder import build as run_build
from lamina.builder.context.source import from_dockerfile
from lamina.builder.run.container import ContainerRunner
from lamina.cancellation import Cancellation
from lamina.errors import Cancelled, CommandFailed, Forbidden, InvalidInput
from lamina.images.image import Image
from lamina.progress import Message, Output
from lamina.sandbox.spec import Defaults
from support.container_workshop import shop_with
from support.context import File
from support.waiting import eventually
from support.workshop import Workshop, kinds, listing

pytestmark = pytest.mark.root
OFFLINE = BuildRequest(network="none")


@pytest.fixture(params=["erofs", "copy"])
def shop(data_root: Path, busybox_tar: Path, request: pytest.FixtureRequest) -> Iterator[Workshop]:
    with shop_with(data_root, busybox_tar, request.param) as workshop:
        yield workshop


def top(image: Image) -> list[str]:
    """The names in the highest layer."""
    with tarfile.open(image.layers[-1].tar) as tar:
        return tar.getnames()


def build(
    shop: Workshop, text: str, request: BuildRequest = OFFLINE, secrets: Mapping[str, bytes] | None = None
) -> Image:
    return shop.build(f"FROM base\n{text}\n", {"a.txt": "alpha\n", "d/one": "1"}, request, secrets)


def test_changes_become_one_layer_and_nothing_else(shop: Workshop) -> None:
    image = build(shop, "RUN echo hello > /hello && mkdir /n && chown 5:6 /n\nRUN rm /hello\nRUN true")
    assert top(image) == [".wh.hello"]
    history = [(step.created_by, step.empty_layer) for step in image.config.history[1:]]
    assert history == [
        ("/bin/sh -c echo hello > /hello && mkdir /n && chown 5:6 /n", False),
        ("/bin/sh -c rm /hello", False),
        ("/bin/sh -c true", True),
    ]
    assert kinds(image)["n"] == "directory 755 5:6"
    assert "etc/resolv.conf" not in listing(image)


def test_output_lines_and_the_cache(shop: Workshop) -> None:
    image = build(shop, "RUN echo out; echo err >&2")
    lines = shop.said.splitlines()
    container = lines[3].removeprefix(" ---> Running in ")
    assert set(lines[4:6]) == {"out", "err"}
    assert lines[6:8] == [f"Removing intermediate container {container}", f" ---> {image.id.short}"]
    assert build(shop, "RUN echo out; echo err >&2").id == image.id
    assert " ---> Using cache" in shop.said


def test_environment_arguments_user_and_directory(shop: Workshop) -> None:
    options = BuildRequest(network="none", build_args={"A": "given", "HTTP_PROXY": "p", "SOURCE_DATE_EPOCH": "1000000"})
    text = 'ARG A\nENV E=e\nWORKDIR /w\nUSER 7:8\nRUN echo "$A $E $HTTP_PROXY $HOME $(pwd) $(id -u):$(id -g)" > /tmp/o'
    image = build(shop, text, options)
    assert listing(image)["tmp/o"] == "regular 644 7:8 given e p / /w 7:8"
    step = image.config.history[-1]
    assert step.created_by.startswith("|1 A=given /bin/sh -c echo")
    assert step.created == "1970-01-12T13:46:40Z"
    with tarfile.open(image.layers[-1].tar) as tar:
        assert max(member.mtime for member in tar) <= 1_000_000


def test_the_host_name_may_be_given(shop: Workshop) -> None:
    for name in ("one", "other"):  # and the second build does not take the first one's step
        options = BuildRequest(network="none", build_args={"BUILDKIT_SANDBOX_HOSTNAME": name})
        assert listing(build(shop, "RUN hostname > /name", options))["name"].endswith(f" {name}")
    assert "not consumed" not in shop.said


def test_failures_carry_the_code_and_keep_nothing(shop: Workshop) -> None:
    with pytest.raises(CommandFailed) as caught:
        build(shop, "RUN echo before; exit 7")
    assert str(caught.value) == "The command '/bin/sh -c echo before; exit 7' returned a non-zero code: 7"
    assert (caught.value.facts["exit_code"], caught.value.facts["line"]) == (7, 2)
    assert shop.said.endswith("before\nDockerfile line 2:\n   2 | RUN echo before; exit 7\n")
    assert "Removing" not in shop.said
    with pytest.raises((InvalidInput, CommandFailed), match="no such file"):
        build(shop, 'RUN ["/no/such"]')
    with pytest.raises(InvalidInput, match="ghost"):
        build(shop, "USER ghost\nRUN true")


def test_the_hosts_network_is_not_for_a_dockerfile_to_take(shop: Workshop) -> None:
    text = "RUN --network=host readlink /proc/self/ns/net"
    with pytest.raises(Forbidden, match=r"network\.host is not allowed"):
        build(shop, text)
    for request in (BuildRequest(network="none", allow=("network.host",)), BuildRequest(network="host", no_cache=True)):
        build(shop, text, request)
        assert os.readlink("/proc/self/ns/net") in shop.said


def test_privileges_are_not_for_a_dockerfile_to_take(shop: Workshop) -> None:
    text = "RUN --security=insecure grep CapBnd /proc/self/status && test -c /dev/loop-control"
    text += "\nRUN ! test -e /dev/loop-control"
    with pytest.raises(Forbidden, match=r"security\.insecure is not allowed.*--allow security\.insecure"):
        build(shop, text)
    request = BuildRequest(network="none", allow=("security.insecure",))
    build(shop, text, request)
    bounds = int(shop.said.partition("CapBnd:\t")[2].split()[0], 16)
    assert bounds & 1 << 21, "CAP_SYS_ADMIN"
    build(shop, text, request)
    assert shop.said.count("Using cache") == 2


@pytest.fixture
def device_shop(data_root: Path, busybox_tar: Path) -> Iterator[Workshop]:
    """A workshop on a host with CDI devices, one of which is free for all builds."""
    specs = data_root / "cdi"
    specs.mkdir()
    devices = [
        {"name": name, "containerEdits": {"env": [f"{name.upper()}=here"]}, "annotations": annotations}
        for name, annotations in (("one", {}), ("free", {"org.mobyproject.buildkit.device.autoallow": "true"}))
    ]
    spec = {"cdiVersion": "0.6.0", "kind": "a.test/kind", "devices": devices}
    (specs / "spec.json").write_text(json.dumps(spec))
    with shop_with(data_root, busybox_tar, "copy", Defaults(cdi_folders=(str(specs),))) as workshop:
        yield workshop


def test_devices_are_for_builds_that_may_have_them(device_shop: Workshop) -> None:
    build(device_shop, "RUN --device=a.test/kind=free --device=a.test/nosuch env")
    assert "FREE=here" in device_shop.said
    with pytest.raises(InvalidInput, match=r'required device "a\.test/nosuch" is not registered'):
        build(device_shop, "RUN --device=a.test/nosuch,required env")
    text = "RUN --device=a.test/kind=one env"
    for allow in ((), ("device=a.test/kind=free",)):
        with pytest.raises(
            Forbidden, match=r"devices a\.test/kind=one are not allowed.*--allow device=a\.test/kind=one"
        ):
            build(device_shop, text, BuildRequest(network="none", allow=allow))
    for entitlement in ("device", "device=a.test/kind=one", "device=a.test/kind=*"):
        build(device_shop, text, BuildRequest(network="none", allow=(entitlement,), no_cache=True))
        assert "ONE=here" in device_shop.said
        assert "FREE=here" not in device_shop.said


def test_a_failed_step_leaves_an_image_on_demand(shop: Workshop) -> None:
    text = "ARG WHO=ada\nENV A=1\nRUN echo half > /half; exit 7"
    request = BuildRequest(network="none", keep_failed=True)
    with pytest.raises(CommandFailed) as caught:
        build(shop, text, request)
    image = shop.images.get(str(caught.value.facts["image"]))
    assert listing(image)["half"] == "regular 644 0:0 half"
    assert {"A=1", "WHO=ada"} <= set(image.config.config.env)
    assert (caught.value.facts["exit_code"], image.references) == (7, ())
    assert "layer" not in caught.value.facts
    with pytest.raises(CommandFailed) as again:
        build(shop, text)
    assert "image" not in again.value.facts
    with pytest.raises(CommandFailed):  # it is no step of the cache
        build(shop, text)


def test_what_run_writes_to_volumes_stays(shop: Workshop) -> None:
    image = build(shop, "RUN mkdir /v && echo 1 > /v/a\nVOLUME /v /new\nRUN cat /v/a && echo 2 > /v/b && mkdir /new")
    assert listing(image)["v/b"] == "regular 644 0:0 2"
    assert "new" in listing(image)
    assert shop.said.count("\n1\n") == 1


def test_mounts(shop: Workshop) -> None:
    flags = (
        "--mount=type=bind,source=d,target=/ctx --mount=type=bind,from=base,source=/bin,target=/other,rw "
        "--mount=type=tmpfs,target=/t,size=1m --mount=type=secret,id=token "
        "--mount=type=secret,id=token,env=TOKEN --mount=type=cache,target=/c,id=shared"
    )
    command = "cat /ctx/one /run/secrets/token; echo; echo $TOKEN; touch /other/x /t/x; ls /c; echo kept > /c/f"
    image = build(shop, f"RUN {flags} {command}", secrets={"token": b"s3cret"})
    assert "1s3cret\ns3cret\n" in shop.said
    assert sorted(set(listing(image)) - set(listing(shop.images.get("base")))) == []
    assert "s3cret" not in str(image.config.raw)
    build(shop, "RUN --mount=type=cache,target=/elsewhere,id=shared cat /elsewhere/f")
    assert "kept\n" in shop.said
    with pytest.raises(InvalidInput, match="secret none: not found"):
        build(shop, "RUN --mount=type=secret,id=none,required true")
    with pytest.raises(InvalidInput, match="ssh agent default: not found"):
        build(shop, "RUN --mount=type=ssh,required true")
    build(shop, 'RUN --mount=type=ssh test -z "$SSH_AUTH_SOCK"')


def test_a_cache_may_begin_with_the_files_of_a_stage(shop: Workshop) -> None:
    def run(content: str, command: str) -> None:
        seed = (
            f"FROM base AS seed\nRUN mkdir -p /in/sub && echo {content} > /in/sub/f && chmod 700 /in && chown 3:4 /in\n"
        )
        text = f"{seed}FROM base\nRUN --mount=type=cache,id=c,target=/c,from=seed,source=/in {command}\n"
        shop.build(text, {}, OFFLINE)

    run("first", "cat /c/sub/f; stat -c '%a %u:%g' /c; echo more > /c/more")
    assert "first\n700 3:4\n" in shop.said
    run("first", "cat /c/more /c/sub/f")
    assert "more\nfirst\n" in shop.said
    run("second", "cat /c/sub/f; ls /c")
    assert "second\nsub\n" in shop.said, "other files have another cache"
    with pytest.raises(InvalidInput, match="stat none: file does not exist"):
        build(shop, "RUN --mount=type=cache,target=/c,from=base,source=/none true")


def test_a_secret_is_nowhere_once_the_build_has_ended(shop: Workshop, data_root: Path) -> None:
    value = b"hunter2-7f3a9c-of-the-build"
    mounts = "--mount=type=secret,id=token --mount=type=secret,id=token,env=TOKEN"
    build(shop, f'RUN {mounts} test "$(cat /run/secrets/token)" = "$TOKEN" && touch /seen', secrets={"token": value})
    eventually(lambda: not any(str(data_root) in line for line in Path("/proc/self/mounts").read_text().splitlines()))
    places = [path for path in data_root.rglob("*") if path.is_file() and value in path.read_bytes()]
    assert places == []
    assert value.decode() not in shop.said


def test_here_documents(shop: Workshop) -> None:
    build(shop, "RUN <<EOF\necho one\necho two $HOME\nEOF\nRUN <<-'S' cat\n\tplain $HOME\n\tS")
    assert "one\ntwo /root\n" in shop.said
    assert "plain $HOME\n" in shop.said
    build(shop, "RUN <<P\n#!/bin/cat\nas data\nP")
    assert "#!/bin/cat\nas data\n" in shop.said


def test_mount_points_in_place_of_links_of_the_image_leave_no_trace(shop: Workshop) -> None:
    text = "FROM base\nCOPY e /etc/\nRUN grep -q localhost /etc/hosts\nRUN test ! -e /real\n"
    image = shop.build(text, {"e/hosts": File(link="/real/hosts")}, OFFLINE)
    assert image.config.history[-1].empty_layer
    assert "real/hosts" not in listing(image)
    assert kinds(image)["etc/hosts"].startswith("symlink")


def test_a_cancelled_run_ends_at_once(shop: Workshop) -> None:
    token = Cancellation()

    def hear(message: Message) -> None:
        if isinstance(message, Output) and message.text == "started\n":
            token.cancel("enough")

    with from_dockerfile(b"FROM base\nRUN echo started; sleep 1000\n") as context:
        with pytest.raises(Cancelled, match="enough"):
            run_build(context, OFFLINE, shop.rooms, hear, token)


def test_a_run_that_is_cancelled_once_the_engine_closes_ends(shop: Workshop) -> None:
    token = Cancellation()
    assert shop.rooms.runner is not None
    runtime = cast(ContainerRunner, shop.rooms.runner()).rooms.runtime

    def hear(message: Message) -> None:
        if isinstance(message, Output) and message.text == "started\n":
            runtime.close()  # nobody hears from monitors any more
            token.cancel("enough")

    with from_dockerfile(b"FROM base\nRUN echo started; sleep 1000\n") as context:
        with pytest.raises(Cancelled, match="enough"):
            run_build(context, OFFLINE, shop.rooms, hear, token)


def test_directories_list_themselves_and_their_parents(shop: Workshop) -> None:
    image = build(shop, "RUN ls -a /etc | head -n 2 > /tmp/o")
    assert listing(image)["tmp/o"] == "regular 644 0:0 .\n.."


def test_set_id_files_stay_copied_or_made_by_run(shop: Workshop) -> None:
    files = {"s": File("x", mode=0o6755)}
    image = shop.build("FROM base\nCOPY s /copied\nRUN cp /copied /made && chmod 6755 /made\n", files, OFFLINE)
    assert (kinds(image)["copied"], kinds(image)["made"]) == ("regular 6755 0:0", "regular 6755 0:0")


_MEET = (
    "RUN --mount=type=cache,id={id},target=/c echo {say}; touch /c/{own}; until [ -e /c/{other} ]; do sleep 0.05; done"
)
_MEET = (
    "RUN --mount=type=cache,id={id},target=/c echo {say}; touch /c/{own}; until [ -e /c/{other} ]; do sleep 0.05; done"
)


def _meeting(id: str, **names: str) -> str:
    return _MEET.format(id=id, say=f"in {names['own']}", **names)


def test_stages_are_built_at_once_and_told_one_after_the_other(shop: Workshop) -> None:
    text = (
        f"FROM base AS one\n{_meeting('m', own='a', other='b')}\nRUN echo one > /o\n"
        f"FROM base AS two\n{_meeting('m', own='b', other='a')}\n"
        "FROM base\nCOPY --from=one /o /one\nCOPY --from=1 /bin/sh /two\n"
    )
    image = shop.build(text, {}, OFFLINE)
    assert listing(image)["one"].endswith("one")
    order = [line for line in shop.said.splitlines() if line.startswith(("Step ", "in "))]
    assert [line.partition(" :")[0] for line in order] == [
        "Step 1/8", "Step 2/8", "in a", "Step 3/8", "Step 4/8", "Step 5/8", "in b", "Step 6/8", "Step 7/8", "Step 8/8",
    ]  # fmt: skip
    assert shop.build(text, {}, OFFLINE).id == image.id
    assert shop.said.count("Using cache") == 5


def test_a_stage_that_fails_ends_the_others_at_once(shop: Workshop) -> None:
    text = (
        "FROM base AS slow\nRUN --mount=type=cache,id=f,target=/c touch /c/up; sleep 1000\n"
        "FROM base AS bad\nRUN --mount=type=cache,id=f,target=/c until [ -e /c/up ]; do sleep 0.05; done; exit 7\n"
        "FROM slow\nCOPY --from=bad /x /\n"
    )
    with pytest.raises(CommandFailed) as caught:
        shop.build(text, {}, OFFLINE)
    assert (caught.value.facts["exit_code"], caught.value.facts["line"]) == (7, 4)
    assert "Step 2/6" in shop.said
    assert "Step 4/6" in shop.said
    assert "Step 5/6" not in shop.said


def test_cancelling_ends_all_stages(shop: Workshop) -> None:
    token = Cancellation()
    text = (
        f"FROM base AS one\n{_meeting('x', own='a', other='b')}; echo met; sleep 1000\n"
        f"FROM base\n{_meeting('x', own='b', other='a')}; sleep 1000\n"
    )

    def hear(message: Message) -> None:
        if isinstance(message, Output) and "met\n" in message.text:
            token.cancel("enough")

    with from_dockerfile(text.encode()) as context, pytest.raises(Cancelled, match="enough"):
        run_build(context, OFFLINE, shop.rooms, hear, token)


def test_a_stage_that_tells_much_before_its_turn_waits(shop: Workshop) -> None:
    """What waits is bounded, and all of it arrives in order."""
    lines = 400_000
    text = (
        "FROM base AS one\nRUN --mount=type=cache,id=t,target=/c until [ -e /c/on ]; do sleep 0.05; done\n"
        f"FROM base\nRUN --mount=type=cache,id=t,target=/c seq 1000; touch /c/on; seq {lines}\n"
    )
    shop.build(text, {}, OFFLINE)
    told = [int(line) for line in shop.said.splitlines() if line.isdigit()]
    assert told == [*range(1, 1001), *range(1, lines + 1)]
