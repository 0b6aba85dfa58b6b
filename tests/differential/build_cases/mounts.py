"""RUN --mount, and heredocs of RUN, COPY and ADD."""

from __future__ import annotations

from collections.abc import Mapping

from differential.build_cases.case import Builder, Case
from differential.differences import EMPTY_LAYER, Difference


def _buildkit(
    name: str,
    dockerfile: str,
    *flags: str,
    fails: bool = False,
    tolerated: Mapping[Builder, Difference] | None = None,
) -> Case:
    """A case whose language the classic builder does not know."""
    return Case(name, dockerfile, flags=flags, fails=fails, tolerated=tolerated or {})


_SECRET = ("--secret", "id=key,src=secret")
_CASES_OF_MOUNTS = [
    _buildkit("mount-bind", "FROM base\nRUN --mount=target=/c cat /c/a.txt > /got\n"),
    _buildkit("mount-bind-source", "FROM base\nRUN --mount=type=bind,source=dir/sub,target=/c ls /c > /got\n"),
    _buildkit("mount-bind-read-only", "FROM base\nRUN --mount=target=/c echo > /c/new\n", fails=True),
    _buildkit(
        "mount-bind-written-is-lost", "FROM base\nRUN --mount=target=/c,rw echo > /c/new && ls /c | wc -l > /n\n"
    ),
    _buildkit(
        "mount-bind-from-stage", "FROM base AS s\nRUN echo 1 > /f\nFROM base\nRUN --mount=from=s,target=/s cp /s/f /g\n"
    ),
    _buildkit("mount-bind-from-image", "FROM base\nRUN --mount=from=with-folder,source=/d,target=/m cp -r /m /got\n"),
    _buildkit("mount-bind-missing", "FROM base\nRUN --mount=source=nope,target=/c true\n", fails=True),
    _buildkit("mount-bind-file", "FROM base\nRUN --mount=source=a.txt,target=/etc/given cat /etc/given > /got\n"),
    _buildkit("mount-cache", "FROM base\nRUN --mount=type=cache,target=/c ls /c > /l; echo > /c/f\n"),
    _buildkit(
        "mount-cache-owner",
        "FROM base\nRUN --mount=type=cache,id=own,target=/c,uid=5,gid=6,mode=0711 stat -c %a:%u:%g /c > /s\n",
    ),
    _buildkit(
        "mount-cache-from",
        "FROM base\nRUN --mount=type=cache,id=seed,from=with-folder,source=/d,target=/c ls /c > /got\n",
    ),
    _buildkit(
        "mount-tmpfs",
        "FROM base\nRUN --mount=type=tmpfs,target=/t echo > /t/f && grep -c ' /t tmpfs' /proc/mounts > /n\n",
    ),
    _buildkit("mount-secret", "FROM base\nRUN --mount=type=secret,id=key cat /run/secrets/key > /got\n", *_SECRET),
    _buildkit(
        "mount-secret-target",
        "FROM base\nRUN --mount=type=secret,id=key,target=/k,mode=0440,uid=3 stat -c %a:%u /k > /s\n",
        *_SECRET,
    ),
    _buildkit("mount-secret-env", "FROM base\nRUN --mount=type=secret,id=key,env=KEY echo $KEY > /got\n", *_SECRET),
    _buildkit(
        "mount-secret-absent",
        "FROM base\nRUN --mount=type=secret,id=none ls /run/secrets > /l 2>&1 || echo none > /l\n",
    ),
    _buildkit("mount-secret-required", "FROM base\nRUN --mount=type=secret,id=none,required true\n", fails=True),
    _buildkit(
        "mount-without-changes", "FROM base\nRUN --mount=target=/tmp true\n", tolerated={"buildkit": EMPTY_LAYER}
    ),
]
_CASES_OF_HEREDOCS = [
    _buildkit("heredoc-run", "FROM base\nRUN <<EOF\necho 1 > /a\necho 2 > /b\nEOF\n"),
    _buildkit("heredoc-run-interpreter", "FROM base\nRUN <<EOF cat > /got\nsome\n  text\nEOF\n"),
    _buildkit("heredoc-run-shebang", "FROM base\nRUN <<EOF\n#!/bin/sh -e\necho $0 > /dev/null; echo hi > /a\nEOF\n"),
    _buildkit("heredoc-run-tabs", "FROM base\nRUN <<-EOF\n\techo 1 > /a\n\t\techo 2 > /b\n\tEOF\n"),
    _buildkit("heredoc-run-quoted", "FROM base\nRUN <<'EOF' cat > /a\n$HOME `id` \\n\nEOF\n"),
    _buildkit("heredoc-run-fails", "FROM base\nRUN <<EOF\nset -e\nfalse\necho > /a\nEOF\n", fails=True),
    _buildkit("heredoc-copy", "FROM base\nCOPY <<EOF /etc/made\nline\nEOF\n"),
    _buildkit("heredoc-copy-variables", "FROM base\nENV A=1\nCOPY <<EOF /a\n$A \\$A ${N:-none}\nEOF\n"),
    _buildkit("heredoc-copy-quoted", "FROM base\nENV A=1\nCOPY <<'EOF' /a\n$A \\$A\nEOF\n"),
    _buildkit("heredoc-copy-and-file", "FROM base\nCOPY a.txt <<one /d/\n1\none\n"),
    _buildkit("heredoc-copy-mode", "FROM base\nCOPY --chmod=755 --chown=3:4 <<EOF /run\n#!/bin/sh\nEOF\n"),
    _buildkit("heredoc-add", "FROM base\nADD <<EOF /a\nadded\nEOF\n"),
    _buildkit("heredoc-open", "FROM base\nRUN <<EOF\necho 1\n", fails=True),
]
CASES = [*_CASES_OF_MOUNTS, *_CASES_OF_HEREDOCS]
