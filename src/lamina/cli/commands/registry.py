"""`lamina registry …`: a registry of your own, the care of its store, and copies between registries."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lamina.cli.arguments import many, switch
from lamina.cli.parsing.declare import argument, command, decimal, option
from lamina.cli.session import Session
from lamina.cli.table import ago, aligned, write_lines
from lamina.credentials import CredentialFile
from lamina.errors import InvalidInput, Unsupported

if TYPE_CHECKING:
    from lamina.cli.parsing.declare import Function
    from lamina.registry.config import Config

config_option = option("--config", "config_file", default="", metavar="FILE", help="The registry's settings, as TOML")
root_option = option("--root", default="", metavar="DIR", help="Where blobs and metadata are kept")


def store_options(function: Function) -> Function:
    """Add the flags that name a registry's store."""
    return config_option(root_option(function))


def _config(config_file: str, root: str, listen: str = "") -> Config:
    """Return the settings. Raise Unsupported where the registry is not installed."""
    from msgspec.structs import replace

    try:
        from lamina.registry import Config, load
    except ModuleNotFoundError as error:
        raise Unsupported(str(error)) from error

    config = load(Path(config_file)) if config_file else Config()
    overrides = {"listen": listen, "root": Path(root) if root else None}
    return replace(config, **{name: value for name, value in overrides.items() if value})


@command(
    """
    lamina registry serve --root /srv/registry
    lamina registry serve --config registry.toml --listen 0.0.0.0:5000
""",
    takes_session=False,
)
@store_options
@option("--listen", default="", metavar="HOST:PORT", help="Where to listen (default 127.0.0.1:5000)")
def serve(config_file: str, root: str, listen: str) -> None:
    """Serve a registry until SIGTERM, with the protocol that docker, podman and others push to and pull from."""
    config = _config(config_file, root, listen)
    from lamina.registry import serve as run

    run(config, ready=lambda address: print(f"listening on {address}", file=sys.stderr, flush=True))


@command("lamina registry gc --root /srv/registry --dry-run", takes_session=False)
@store_options
@switch("--dry-run", help="Only tell what would go")
@option("--grace", convert=decimal, default=None, metavar="SECONDS", help="How long deleted content stays")
def gc(config_file: str, root: str, dry_run: bool, grace: float | None) -> None:
    """Remove what no image refers to; the registry may be running."""
    from lamina.formats.sizes import human_size

    config = _config(config_file, root)
    from lamina.registry import admin

    swept = admin.gc(config, grace=grace, dry_run=dry_run)
    print(f"Manifests: {swept.manifests}\nBlobs: {swept.blobs}\nUploads: {swept.uploads}\nOrphans: {swept.orphans}")
    print(f"Total reclaim{'able' if dry_run else 'ed'} space: {human_size(swept.bytes)}")


@command(
    """
    lamina registry ls --root /srv/registry
    lamina registry ls --root /srv/registry team/app
""",
    takes_session=False,
)
@argument("repository", required=False, default="", metavar="[REPOSITORY]")
@store_options
def ls(repository: str, config_file: str, root: str) -> None:
    """List the repositories of a registry's store, or the tags of one."""
    from lamina.formats.sizes import human_size

    config = _config(config_file, root)
    from lamina.registry import admin

    if repository:
        tags = [[tag.name, tag.digest, ago(tag.updated)] for tag in admin.ls_tags(config, repository)]
        write_lines(aligned([["TAG", "DIGEST", "PUSHED"], *tags]))
        return
    rows = [[r.name, str(r.tags), str(r.manifests), human_size(r.bytes)] for r in admin.ls(config)]
    write_lines(aligned([["REPOSITORY", "TAGS", "MANIFESTS", "SIZE"], *rows]))


@command("lamina registry verify --root /srv/registry", takes_session=False)
@store_options
def verify(config_file: str, root: str) -> int:
    """Read everything in a registry's store and check it against its digest."""
    from lamina.formats.sizes import human_size

    config = _config(config_file, root)
    from lamina.registry import admin

    report = admin.verify(config)
    for problem in report.damaged:
        print(problem.message, file=sys.stderr)
    print(f"{report.blobs} blobs with {human_size(report.bytes)}: {len(report.damaged) or 'none'} damaged")
    return 1 if report.damaged else 0


@command(
    """
    lamina registry retain --config registry.toml --dry-run
    lamina registry retain --config registry.toml
""",
    takes_session=False,
)
@store_options
@switch("--dry-run", help="Only tell what would go")
def retain(config_file: str, root: str, dry_run: bool) -> None:
    """Delete the images that the [[retention]] rules let go; a running registry does so by itself."""
    config = _config(config_file, root)
    from lamina.registry import admin

    if not config.retention:
        raise InvalidInput("There are no retention rules", advice="Write [[retention]] into the file of --config.")
    deleted = admin.retain(config, dry_run=dry_run)
    rows = [[manifest.repository, " ".join(manifest.tags) or "<none>", manifest.digest] for manifest in deleted]
    write_lines(aligned([["REPOSITORY", "TAGS", "DIGEST"], *rows]))


@command("lamina registry undelete --root /srv/registry team/app sha256:c0ffee…", takes_session=False)
@argument("repository")
@argument("digest")
@store_options
def undelete(repository: str, digest: str, config_file: str, root: str) -> None:
    """Bring back a deleted image with its tags; that works until it is collected."""
    from lamina.formats.digest import Digest

    config = _config(config_file, root)
    from lamina.registry import admin

    restored = Digest.parse(digest)
    tags = admin.undelete(config, repository, restored)
    print(f"{repository}@{restored}", *(f"{repository}:{tag}" for tag in tags), sep="\n")


@command("lamina registry copy registry.example.com/team/app:1 127.0.0.1:5000/mirror/app:1")
@argument("source")
@argument("target")
@many("--insecure", metavar="HOST", help="Registry to talk to without TLS or without checking it")
@switch("--no-referrers", help="Leave out signatures and what else refers to the image")
def copy(session: Session, source: str, target: str, insecure: tuple[str, ...], no_referrers: bool) -> None:
    """Copy an image with all its platforms between registries, without a daemon and without changing a byte."""
    from lamina.cli.progress import Display
    from lamina.distribution import RegistryClient, Settings
    from lamina.distribution.copy import copy as run
    from lamina.formats.reference import Reference

    credentials = CredentialFile(session.settings.config.path)
    with RegistryClient(Settings(insecure=insecure), credentials.get) as client, Display(sys.stderr) as display:
        copied = run(
            Reference.parse(source), Reference.parse(target), display, client=client, referrers=not no_referrers
        )
    print(copied.digest)
