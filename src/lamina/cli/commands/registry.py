"""`lamina registry serve`: a registry of your own."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lamina.cli.arguments import command


@command("""
    lamina registry serve --root /srv/registry
    lamina registry serve --config registry.toml --listen 0.0.0.0:5000
""")
@click.option("--config", "config_file", default="", metavar="FILE", help="Settings, as TOML")
@click.option("--listen", default="", metavar="HOST:PORT", help="Where to listen (default 127.0.0.1:5000)")
@click.option("--root", default="", metavar="DIR", help="Where blobs and metadata are kept")
def serve(config_file: str, listen: str, root: str) -> None:
    """Serve a registry until SIGTERM, with the protocol that docker, podman and others push to and pull from."""
    from msgspec.structs import replace

    from lamina.distribution.server.config import Config, load
    from lamina.distribution.server.serve import serve as run

    config = load(Path(config_file)) if config_file else Config()
    given = {"listen": listen, "root": Path(root) if root else None}
    config = replace(config, **{name: value for name, value in given.items() if value})
    run(config, ready=lambda address: print(f"listening on {address}", file=sys.stderr, flush=True))
