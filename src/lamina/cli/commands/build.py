"""`lamina build`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

from lamina.cli.arguments import many, switch
from lamina.cli.build_inputs import named_contexts, read_secrets, ssh_agents
from lamina.cli.build_outputs import attestations, caches, outputs, write_metadata
from lamina.cli.key_values import mapping
from lamina.cli.parsing.declare import Choice, argument, command, option
from lamina.cli.run.flags import limit_flags
from lamina.cli.session import Session
from lamina.client.context import BuildContext, in_place_context
from lamina.errors import InvalidInput, LaminaError

if TYPE_CHECKING:
    from lamina.api.build import BuildRequest
    from lamina.api.build_steps import BuildStep
    from lamina.cli.build_calls import BuildCall
    from lamina.client.builds import SentBuild

REMOTE = ("http://", "https://", "git://", "git@", "ssh://", "github.com/")
COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")
USTAR = slice(257, 262)
PIECE = 1 << 20


@command("""
    lamina build -t my-app .
    lamina build -f docker/Dockerfile.test --target test --build-arg VERSION=2 .
    lamina build -t from-stdin - < Dockerfile
    lamina build --check --format sarif . > checks.sarif
    lamina build --platform linux/amd64,linux/arm64 -t registry.example.com/app --push .
    lamina build -o type=oci,dest=app.tar .
    lamina build -t app -o type=oci,tar=false,dest=layout .
    lamina build --cache-to type=local,dest=cache,mode=max --cache-from type=local,src=cache .
    lamina build --secret id=token,env=GITHUB_TOKEN --build-context shared=../shared .
""")
@argument("context", metavar="PATH|URL|-")
@many("--add-host", "extra_hosts", metavar="HOST:IP", help="Add a line to the hosts file of RUN steps")
@many("--allow", metavar="NAME", help="What RUN may take: network.host, security.insecure or device=NAME")
@many("--annotation", "notes", metavar="[PLACE:]KEY=VALUE", help="Annotate the manifest, or the index")
@many("--attest", metavar="type=TYPE,…", help="Attest how the image was made (provenance) or what is in it (sbom)")
@many(
    "--build-context",
    "named_contexts",
    metavar="NAME=VALUE",
    help="A name for FROM and --from",
)
@many("--build-arg", "build_args", metavar="NAME=VALUE", help="Set build-time variables")
@option("--call", default="build", metavar="METHOD", help="What to do: build, check, outline or targets")
@many("--cache-from", metavar="IMAGE|type=TYPE,…", help="Images and caches to look for cached steps in")
@many("--cache-to", metavar="NAME|type=TYPE,…", help="Write the cache to a registry, a folder, or the image")
@switch("--check", help="Check the Dockerfile instead of building it")
@switch("--compress", help="Accepted for Docker's sake")
@switch("--disable-content-trust", hidden=True, help="Accepted for Docker's sake")
@switch("--explain", help="Show what became of each step, and why it had to run")
@option(
    "--explain-format",
    convert=Choice("text", "json"),
    default="text",
    help="Explain as text beside the output, or as JSON on standard output (default text)",
)
@option("-f", "--file", "dockerfile", default="", metavar="FILE", help="Dockerfile (default PATH/Dockerfile)")
@switch("--force-rm", "force_remove", help="Always remove intermediate containers")
@option("--format", "format_", default="", metavar="FORMAT", help="Format of --check and --call: text, json or sarif")
@option("--iidfile", default="", metavar="FILE", help="Write the image's ID to a file")
@option("--isolation", default="", hidden=True, help="Accepted for Docker's sake")
@switch("--load", help="Keep the image here, also beside other outputs")
@option("--metadata-file", default="", metavar="FILE", help="Write digests and names of the result to a file, as JSON")
@many("--label", "labels", metavar="KEY=VALUE", help="Set metadata of the image")
@option("--network", default="default", metavar="MODE", help="Network of RUN steps: default, none or host")
@switch("--no-cache", help="Do not use cached steps")
@many("--no-cache-filter", "no_cache_stages", metavar="STAGE", help="Do not use cached steps of a stage")
@option(
    "--on-error", convert=Choice("fail", "shell"), default="fail", help="When a command fails: fail, or open a shell"
)
@many("-o", "--output", metavar="type=TYPE,dest=PATH|FOLDER", help="What to make: local, tar, oci, docker, image, …")
@option("--platform", default="", envvar="DOCKER_DEFAULT_PLATFORM", help="Platforms to build for, with commas between")
@option(
    "--progress",
    "progress_form",
    convert=Choice("auto", "plain", "tty", "quiet", "rawjson"),
    default="auto",
    envvar="BUILDKIT_PROGRESS",
    help="How to show the build: steps beside each other (tty, on terminals), lines (plain), or values (rawjson)",
)
@option("--provenance", default="", metavar="mode=min|max", help="Attest how the image was made")
@switch("--push", help="Push the image to the registry that its tag names")
@switch("--pull", help="Always look for newer base images")
@switch("-q", "--quiet", help="Only print the image's ID")
@option("--rm/--no-rm", "remove", default=True, help="Remove intermediate containers (default true)")
@option("--sbom", default="", metavar="true", help="Attest which packages are in the image")
@many("--secret", "secret_flags", metavar="id=ID,src=FILE|env=NAME", help="A secret for RUN --mount=type=secret")
@many("--security-opt", "security_options", help="Security options of RUN steps")
@option(
    "--squash",
    default="",
    bare="from=base",
    attached=True,
    metavar="[=all|from=base|every=N]",
    help="Make one layer of the new ones, of all, or of each N new ones",
)
@many("--ssh", "agent_flags", metavar="default|ID=SOCKET", help="An ssh agent for RUN --mount=type=ssh")
@switch("--verify", help="Build twice without the cache, and fail where the two differ")
@many("-t", "--tag", "tags", metavar="NAME[:TAG]", help="Name the image")
@option("--target", default="", metavar="STAGE", help="Stage to stop at")
@limit_flags(
    "cgroup_parent",
    "cpu_period",
    "cpu_quota",
    "cpu_shares",
    "cpuset_cpus",
    "cpuset_mems",
    "memory",
    "memory_swap",
    "shm_size",
    "ulimit",
)
def build(
    session: Session,
    /,
    context: str,
    dockerfile: str,
    iidfile: str,
    quiet: bool,
    explain: bool,
    explain_format: str,
    call: str,
    check: bool,
    format_: str,
    metadata_file: str,
    on_error: str,
    **flags: Any,
) -> int:
    """Build an image from a Dockerfile and the files of a directory, a tar or a repository."""
    from lamina.cli.build_calls import build_call

    asked = build_call(call, check, format_)
    quiet = quiet or flags["progress_form"] == "quiet"
    secrets = read_secrets(flags.pop("secret_flags"))
    if iidfile:
        with suppress(FileNotFoundError):
            os.unlink(iidfile)  # or a stale one would outlive a build that fails
    remote = context if context.startswith(REMOTE) else ""
    source = None if remote else _context(session, context, dockerfile)
    more = {"explain": explain, "keep_failed": on_error == "shell"}
    request = _request(flags, quiet=quiet, dockerfile=dockerfile, remote=remote, **more)
    if asked.name:
        return _answer(session, asked, source, request)
    try:
        sent = _send(session, source, request, secrets, flags["progress_form"])
    except LaminaError as error:
        if on_error != "shell" or "image" not in error.facts:
            raise
        from lamina.cli.build_shell import open_shell

        return open_shell(session, error, request.network)
    image = sent.image
    if explain:
        _explain(sent.steps, explain_format)
    if quiet and not _is_piped(request) and not (explain and explain_format == "json"):
        print(image)
    if iidfile:
        with open(iidfile, "w") as file:
            file.write(image)
    write_metadata(metadata_file, sent.metadata)
    return 0


def _send(
    session: Session, source: BuildContext | None, request: BuildRequest, secrets: dict[str, bytes], form: str
) -> SentBuild:
    """Build, show what happens in the `form` that is asked for, and return what came of it."""
    from msgspec.structs import replace

    from lamina.cli.build_progress import build_report, print_result, progress_form
    from lamina.cli.credentials import all_credentials

    stream = sys.stderr if _is_piped(request) else sys.stdout
    form = progress_form(form, request, stream, lambda: session.client.is_lamina)
    credentials, builds = all_credentials(session.settings.config), session.client.builds
    if form in ("tty", "rawjson"):
        request = replace(request, live=True)
    with build_report(form, stream) as report:
        sent = builds.send(source, request, credentials=credentials, secrets=secrets, report=report)
    if form == "tty":
        print_result(stream, sent.image, request.tags)
    return sent


def _is_piped(request: BuildRequest) -> bool:
    """Return whether a file of the build goes to the standard output, which then is its own."""
    return any(output.attrs.get("dest") == "-" for output in request.outputs)


def _answer(session: Session, call: BuildCall, source: BuildContext | None, request: BuildRequest) -> int:
    """Print what is asked for instead of an image, and return the exit code."""
    from lamina.api.build_calls import CheckResult, OutlineResult, TargetsResult
    from lamina.cli.build_calls import print_answer
    from lamina.cli.credentials import all_credentials

    kinds: dict[str, Any] = {"check": CheckResult, "outline": OutlineResult, "targets": TargetsResult}
    builds, credentials = session.client.builds, all_credentials(session.settings.config)
    return print_answer(builds.answer(call.name, kinds[call.name], source, request, credentials), call.format)


def _explain(steps: Sequence[BuildStep], form: str) -> None:
    """Print what became of the steps: JSON to the standard output, text beside the build's own."""
    from lamina.api.build_steps import explained

    if form == "json":
        print(json.dumps([step.to_json() for step in steps], indent=4))
    else:
        sys.stderr.write(explained(steps))


def _context(session: Session, context: str, dockerfile: str) -> BuildContext:
    if context != "-":
        content = sys.stdin.buffer.read() if dockerfile == "-" else None
        dockerfile = "" if dockerfile == "-" else dockerfile
        if session.client.reads_in_place:
            return in_place_context(context, dockerfile, content)
        from lamina.client.context_tar import directory_context  # which most builds do not need

        return directory_context(context, dockerfile, content)
    if dockerfile == "-":
        raise InvalidInput("stdin cannot be both the build context and the Dockerfile")
    head = sys.stdin.buffer.read(512)
    if head.startswith(COMPRESSED) or head[USTAR] == b"ustar":
        return BuildContext(_rest(head), dockerfile or "Dockerfile")
    if not head.strip():
        raise InvalidInput("the Dockerfile on stdin is empty")
    from lamina.client.context_tar import single_context

    return single_context(head + sys.stdin.buffer.read())


def _rest(head: bytes) -> Iterator[bytes]:
    return chain([head], iter(lambda: sys.stdin.buffer.read(PIECE), b""))


def _request(flags: dict[str, Any], **more: Any) -> BuildRequest:
    """Return the request. A flag sets the field of its name; flags without a field have no effect."""
    import msgspec

    from lamina.api.build import BuildRequest
    from lamina.api.containers import Ulimit
    from lamina.cli.run.limits import read_limits

    fields = {name: value for name, value in flags.items() if name in BuildRequest.__struct_fields__}
    fields["build_args"] = arguments(flags["build_args"])
    fields["labels"] = mapping(flags["labels"])
    options = [text for text in flags["cache_from"] if "=" in text]
    fields["cache_from"] = tuple(
        name for text in flags["cache_from"] if text not in options for name in text.split(",")
    )
    fields["cache_imports"], fields["cache_exports"] = caches(options), caches(flags["cache_to"])
    fields["outputs"] = outputs(flags["output"], flags["notes"], push=flags["push"], load=flags["load"])
    fields["contexts"] = named_contexts(flags["named_contexts"])
    fields["agents"] = ssh_agents(flags["agent_flags"])
    fields["attestations"] = attestations(flags["provenance"], flags["sbom"], flags["attest"])
    limits = read_limits(flags)
    limits["ulimits"] = msgspec.convert(limits["ulimits"], tuple[Ulimit, ...])
    return BuildRequest(**{**fields, **limits, **more})


def arguments(pairs: tuple[str, ...]) -> dict[str, str | None]:
    """Return the values of --build-arg. A name alone, and SOURCE_DATE_EPOCH always, comes from the environment.

    Raise InvalidInput for a value without a name.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    values: dict[str, str | None] = {"SOURCE_DATE_EPOCH": epoch} if epoch else {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name:
            raise InvalidInput(f"invalid build argument {pair!r}", advice="Write it as NAME=VALUE, or NAME")
        values[name] = value if equals else os.environ.get(name)
    return values
