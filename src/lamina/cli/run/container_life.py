"""The life of a container that `run` starts: pull its image, create it, attach, start, wait."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from lamina.cli.run.timings import Timings
from lamina.cli.terminal.attach import Attachment, attend, check_terminal, exit_code, signal_name, terminal_size
from lamina.client.references import split_name
from lamina.errors import Conflict, InvalidInput, LaminaError, NotFound
from lamina.light import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Any

    from lamina.cli.run.request import Request
    from lamina.cli.session import Session
    from lamina.client.containers import Containers
    from lamina.client.waiting import Waiting
    from lamina.progress import Report

ENGINE_FAILED, NOT_INVOKED, NOT_FOUND = 125, 126, 127
PULL = ("always", "missing", "never")


class ClientFlags(NamedTuple):
    """The flags of `run` that the command line acts on itself; the daemon never sees them."""

    name: str = ""
    platform: str = ""
    pull: str = "missing"
    quiet: bool = False
    cidfile: str = ""
    detach: bool = False
    detach_keys: str = ""
    sig_proxy: bool = True
    timings: bool = False


def create_container(session: Session, request: Request, options: ClientFlags) -> str:
    """Create the container and return its ID. Pull its image if the options ask for it. Print warnings to stderr."""
    if options.pull not in PULL:
        raise InvalidInput(f"invalid pull option {options.pull!r}", advice=f"Give one of {', '.join(PULL)}")
    if options.cidfile and os.path.exists(options.cidfile):
        raise Conflict(
            f"the file {options.cidfile} exists", advice="Remove it, or the container it names may be in use"
        )
    image = request.image
    if options.pull == "always":
        pull_for(session, image, options)
    created = _create_or_pull(session, request, options)
    for warning in created.warnings:
        print(f"WARNING: {warning}", file=sys.stderr)
    if options.cidfile:
        with open(options.cidfile, "w") as file:
            file.write(created.id)
    return str(created.id)


def _create_or_pull(session: Session, request: Request, options: ClientFlags) -> Any:
    containers = session.client.containers
    arguments = (options.name or None, request.body(), options.platform or "")
    try:
        return containers.create_request(*arguments)
    except NotFound:
        image = request.image
        lack = _lack(session, image, options.platform) if options.pull == "missing" else ""
        if not lack:
            raise
        if not options.quiet:
            print(lack, file=sys.stderr)
        try:
            pull_for(session, image, options)
        except LaminaError as error:
            error.advice = _meant(session, image) or error.advice
            raise
        return containers.create_request(*arguments)


def _lack(session: Session, image: str, platform: str) -> str:
    """Return what is missing: the image, or the image for the requested platform. Return "" if it is here."""
    repository, tag = split_name(image)
    missing = f"Unable to find image '{repository}:{tag or 'latest'}' locally"
    try:
        local = session.client.images.get(image)
    except NotFound:
        return missing
    if platform:
        with suppress(NotFound):
            local = session.client.images.get(image, platform=platform)
    from lamina.formats.platform import Platform

    own = Platform(local.get("Os", ""), local.get("Architecture", ""), local.get("Variant") or "")
    if not platform or own.matches(Platform.parse(platform)):
        return ""
    return f"{missing} for {platform}: the one that is here is for {own}"


def _meant(session: Session, image: str) -> str | None:
    """Return advice with the closest name of a local image, if any is close."""
    from lamina.dockerfile.suggest import did_you_mean

    names = [name for local in session.client.images.list() for name in local.tags]
    names += [name.removesuffix(":latest") for name in names if name.endswith(":latest")]
    return did_you_mean(image, [name for name in names if name != image])


def pull_for(session: Session, image: str, options: ClientFlags) -> None:
    """Pull an image for a container. Progress goes to stderr, because stdout belongs to the container."""
    from lamina.cli.credentials import credentials_for
    from lamina.cli.progress import Display
    from lamina.progress import ignore

    credentials = credentials_for(session.settings.config, image)
    report: Report = ignore if options.quiet else Display(sys.stderr)
    session.client.registries.pull(image, platform=options.platform or "", credentials=credentials, report=report)


def run_container(session: Session, request: Request, options: ClientFlags) -> int:
    """Run a container. Return its exit code, or 125, 126 or 127 if it did not start."""
    timings = Timings(options.timings)
    timings.ended("begin")
    if not options.detach:
        check_terminal(request.tty, request.attaches("Stdin"))
        if request.tty and (size := terminal_size(sys.stdout.fileno())):
            request = request.with_console(size)  # or the process would start with a terminal of no size
    try:
        identifier = create_container(session, request, options)
        timings.ended("create")
        if options.detach:
            _start(session.client.containers, identifier, removes=request.removes)
            timings.ended("start")
            print(identifier)
            return 0
        return _foreground(session.client.containers, identifier, request, options, timings)
    except LaminaError as error:
        error.facts.setdefault("cli_exit", ENGINE_FAILED)
        raise
    finally:
        timings.show()


def _start(containers: Containers, identifier: str, removes: bool) -> None:
    with containers.waiting(identifier, "removed" if removes else "next-exit") as waiting:
        try:
            containers.start(identifier)
        except LaminaError as error:
            error.facts["cli_exit"] = _start_failure(containers, identifier, waiting if removes else None)
            raise


def _start_failure(containers: Containers, identifier: str, removal: Waiting | None) -> int:
    """Return 126 or 127 if the engine could not invoke or find the command, else 125."""
    try:
        code = containers.get(identifier).state.exit_code
    except NotFound:
        code = removal.result().exit_code if removal is not None else 0
    except LaminaError:
        code = 0
    return code if code in (NOT_INVOKED, NOT_FOUND) else ENGINE_FAILED


def _foreground(
    containers: Containers, identifier: str, request: Request, options: ClientFlags, timings: Timings
) -> int:
    removes, reads = request.removes, request.attaches("Stdin")
    try:
        stream = containers.attach(
            identifier,
            stdin=reads,
            stdout=request.attaches("Stdout"),
            stderr=request.attaches("Stderr"),
            detach_keys=options.detach_keys,
            tty=request.tty,
        )
    except LaminaError:
        if removes:  # it will never run, so nothing else would remove it
            containers.remove(identifier)
        raise
    attachment = Attachment(
        tty=request.tty,
        stdin=reads,
        detach_keys=options.detach_keys,
        resize=lambda rows, columns: containers.resize(identifier, rows, columns),
        kill=(lambda number: containers.kill(identifier, signal_name(number))) if options.sig_proxy else None,
    )
    with containers.waiting(identifier, "removed" if removes else "next-exit") as waiting:
        timings.ended("attach")

        def begin() -> None:
            try:
                containers.start(identifier)
                timings.ended("start")
            except LaminaError as error:
                error.facts["cli_exit"] = _start_failure(containers, identifier, waiting if removes else None)
                raise

        is_over = attend(stream, attachment, begin)
        timings.ended("run")
        code = exit_code(waiting) if is_over else 0
        timings.ended("remove" if removes else "end")
        return code
