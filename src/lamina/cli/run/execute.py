"""The life of a container that `run` started: pull, create, attach, start, wait."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from msgspec.structs import replace

from lamina.cli.names import split_reference
from lamina.cli.run.attached import Attachment, attend, check_terminal, signal_name
from lamina.cli.run.request import Request
from lamina.cli.session import Session
from lamina.cli.terminal.raw import size as terminal_size
from lamina.client.containers import Containers, Waiting
from lamina.errors import Conflict, InvalidInput, LaminaError, NotFound
from lamina.progress import Report, ignore

ENGINE_FAILED, NOT_INVOKED, NOT_FOUND = 125, 126, 127
PULL = ("always", "missing", "never")


class Wishes(NamedTuple):
    """Flags of `run` that are about us, not about the container."""

    name: str = ""
    platform: str = ""
    pull: str = "missing"
    quiet: bool = False
    cidfile: str = ""
    detach: bool = False
    detach_keys: str = ""
    sig_proxy: bool = True


def create(session: Session, request: Request, wishes: Wishes) -> str:
    """Make the container, pulling its image where the wishes say so; its ID. Warnings go to stderr."""
    if wishes.pull not in PULL:
        raise InvalidInput(f"invalid pull option {wishes.pull!r}", advice=f"Give one of {', '.join(PULL)}")
    if wishes.cidfile and os.path.exists(wishes.cidfile):
        raise Conflict(f"the file {wishes.cidfile} exists", advice="Remove it, or the container it names may be in use")
    image = request.config.image
    if wishes.pull == "always":
        pull_for(session, image, wishes)
    made = _create_or_pull(session, request, wishes)
    for warning in made.warnings:
        print(f"WARNING: {warning}", file=sys.stderr)
    if wishes.cidfile:
        with open(wishes.cidfile, "w") as file:
            file.write(made.id)
    return str(made.id)


def _create_or_pull(session: Session, request: Request, wishes: Wishes) -> Any:
    containers = session.client.containers
    arguments = (wishes.name or None, *request, wishes.platform or None)
    try:
        return containers.create(*arguments)
    except NotFound:
        image = request.config.image
        lack = _lack(session, image, wishes.platform) if wishes.pull == "missing" else ""
        if not lack:
            raise
        if not wishes.quiet:
            print(lack, file=sys.stderr)
        try:
            pull_for(session, image, wishes)
        except LaminaError as error:
            error.advice = _meant(session, image) or error.advice
            raise
        return containers.create(*arguments)


def _lack(session: Session, image: str, platform: str) -> str:
    """What is missing: any such image, or the one for the platform that was asked for; "" where neither is."""
    repository, tag = split_reference(image)
    missing = f"Unable to find image '{repository}:{tag or 'latest'}' locally"
    try:
        local = session.client.images.get(image)
    except NotFound:
        return missing
    from lamina.formats.platform import Platform

    own = Platform(local.get("Os", ""), local.get("Architecture", ""), local.get("Variant") or "")
    if not platform or own.matches(Platform.parse(platform)):
        return ""
    return f"{missing} for {platform}: the one that is here is for {own}"


def _meant(session: Session, image: str) -> str | None:
    """The name of an image that is here and is called almost so, as advice."""
    from lamina.dockerfile.suggest import did_you_mean

    names = [name for local in session.client.images.list() for name in local.get("RepoTags") or ()]
    names += [name.removesuffix(":latest") for name in names if name.endswith(":latest")]
    return did_you_mean(image, [name for name in names if name != image])


def pull_for(session: Session, image: str, wishes: Wishes) -> None:
    """Pull an image before its container is made; progress goes to stderr, which is not the container's."""
    from lamina.cli.credentials import auth_for
    from lamina.cli.show.progress import Display

    repository, tag = split_reference(image)
    auth = auth_for(session.settings.config, repository)
    report: Report = ignore if wishes.quiet else Display(sys.stderr)
    platform = wishes.platform or None
    session.client.images.pull(repository, tag or "latest", platform=platform, auth=auth, report=report)


def run(session: Session, request: Request, wishes: Wishes) -> int:
    """`run`: the exit code is the container's own, or 125, 126, 127 where it could not be started."""
    config = request.config
    if not wishes.detach:
        check_terminal(config.tty, config.attach_stdin)
        if config.tty and (size := terminal_size(sys.stdout.fileno())):
            # Without it the process would start with a terminal of no size.
            request = request._replace(host_config=replace(request.host_config, console_size=size))
    try:
        identifier = create(session, request, wishes)
        if wishes.detach:
            _start(session.client.containers, identifier, removes=request.host_config.auto_remove)
            print(identifier)
            return 0
        return _foreground(session.client.containers, identifier, request, wishes)
    except LaminaError as error:
        error.facts.setdefault("cli_exit", ENGINE_FAILED)
        raise


def _start(containers: Containers, identifier: str, removes: bool) -> None:
    with containers.waiting(identifier, "removed" if removes else "next-exit") as waiting:
        try:
            containers.start(identifier)
        except LaminaError as error:
            error.facts["cli_exit"] = _start_failure(containers, identifier, waiting if removes else None)
            raise


def _start_failure(containers: Containers, identifier: str, removal: Waiting | None) -> int:
    """126 or 127 where the engine noted that the command could not be invoked or found, else 125."""
    try:
        state: Mapping[str, Any] = containers.get(identifier)["State"]
        code = int(state["ExitCode"])
    except NotFound:
        code = int(removal.answer()["StatusCode"]) if removal is not None else 0
    except LaminaError:
        code = 0
    return code if code in (NOT_INVOKED, NOT_FOUND) else ENGINE_FAILED


def _foreground(containers: Containers, identifier: str, request: Request, wishes: Wishes) -> int:
    config, removes = request.config, request.host_config.auto_remove
    try:
        stream = containers.attach(
            identifier,
            stdin=config.attach_stdin,
            stdout=config.attach_stdout,
            stderr=config.attach_stderr,
            detach_keys=wishes.detach_keys or None,
            tty=config.tty,
        )
    except LaminaError:
        if removes:  # it will never run, so nothing else would remove it
            containers.remove(identifier)
        raise
    attachment = Attachment(
        tty=config.tty,
        stdin=config.attach_stdin,
        detach_keys=wishes.detach_keys,
        resize=lambda rows, columns: containers.resize(identifier, rows, columns),
        kill=(lambda number: containers.kill(identifier, signal_name(number))) if wishes.sig_proxy else None,
    )
    with containers.waiting(identifier, "removed" if removes else "next-exit") as waiting:

        def begin() -> None:
            try:
                containers.start(identifier)
            except LaminaError as error:
                error.facts["cli_exit"] = _start_failure(containers, identifier, waiting if removes else None)
                raise

        if not attend(stream, attachment, begin):
            return 0
        return waiting.result()
