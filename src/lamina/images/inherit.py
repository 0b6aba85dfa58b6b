"""How a config takes what it leaves open from the one below: a container's from its image's, a step's from its base's.

Rule: dockerd's `merge` (daemon/commit.go).
"""

from __future__ import annotations

import msgspec

from lamina.formats.config import Healthcheck, RunConfig


def inherit(config: RunConfig, below: RunConfig) -> RunConfig:
    """`config`, with what it leaves open taken from the one below: how dockerd merges container and image configs."""
    names = {entry.partition("=")[0] for entry in config.env}
    env = (*config.env, *(entry for entry in below.env if entry.partition("=")[0] not in names))
    entrypoint, cmd = config.entrypoint, config.cmd
    if not entrypoint:
        cmd = cmd or below.cmd
        entrypoint = below.entrypoint if entrypoint is None else entrypoint
    return msgspec.structs.replace(
        config,
        user=config.user or below.user,
        exposed_ports={**below.exposed_ports, **config.exposed_ports},
        env=env,
        labels={**below.labels, **config.labels},
        cmd=cmd,
        entrypoint=entrypoint,
        healthcheck=inherit_healthcheck(config.healthcheck, below.healthcheck),
        working_dir=config.working_dir or below.working_dir,
        volumes={**below.volumes, **config.volumes},
        stop_signal=config.stop_signal or below.stop_signal,
    )


def inherit_healthcheck(own: Healthcheck | None, below: Healthcheck | None) -> Healthcheck | None:
    """`own`, with what it leaves open taken from the one below."""
    if own is None or below is None:
        return own or below
    return msgspec.structs.replace(
        own,
        test=own.test or below.test,
        interval=own.interval or below.interval,
        timeout=own.timeout or below.timeout,
        start_period=own.start_period or below.start_period,
        start_interval=own.start_interval or below.start_interval,
        retries=own.retries or below.retries,
    )
