"""RUN: what commands change, what they see, and how they fail."""

from __future__ import annotations

from differential.build_cases.case import BOTH, CLASSIC, Case
from differential.differences import EMPTY_LAYER, Difference, paths

_CASES_OF_CHANGES = [
    Case("run-create", "FROM base\nRUN echo hello > /hello && chmod 640 /hello\n", builders=BOTH),
    Case("run-delete", "FROM base\nRUN mkdir /d && echo 1 > /d/a && echo 2 > /d/b\nRUN rm /d/a\n", builders=BOTH),
    Case("run-delete-dir", "FROM base\nRUN mkdir -p /d/e && echo 1 > /d/e/a\nRUN rm -r /d\n"),
    Case(
        "run-opaque",
        "FROM base\nRUN mkdir /d && echo 1 > /d/a\nRUN rm -r /d && mkdir /d && echo 2 > /d/b\n",
        builders=BOTH,
    ),
    Case("run-dir-to-file", "FROM base\nRUN mkdir /d && echo 1 > /d/a\nRUN rm -r /d && echo f > /d\n", builders=BOTH),
    Case("run-file-to-dir", "FROM base\nRUN echo f > /d\nRUN rm /d && mkdir /d && echo 1 > /d/a\n"),
    Case("run-chmod", "FROM base\nCOPY a.txt /\nRUN chmod 400 /a.txt\n", builders=BOTH),
    Case("run-chown", "FROM base\nCOPY a.txt /\nRUN chown 12:34 /a.txt\n"),
    Case("run-append", "FROM base\nCOPY a.txt /\nRUN echo more >> /a.txt\n"),
    Case("run-hardlink", "FROM base\nRUN echo x > /h1 && ln /h1 /h2\n", builders=BOTH),
    Case("run-hardlink-below", "FROM base\nRUN echo x > /h1\nRUN ln /h1 /h2\n"),
    Case("run-symlinks", "FROM base\nRUN ln -s /etc/passwd /abs && ln -s ../x /tmp/rel && ln -s nowhere /dangling\n"),
    Case(
        "run-fifo-and-sticky",
        "FROM base\nRUN mkfifo /pipe && mkdir -m 1777 /sticky && mkdir -m 2755 /setgid\n",
        builders=BOTH,
    ),
    Case("run-rename-dir", "FROM base\nRUN mkdir /d && echo 1 > /d/a\nRUN mv /d /e\n", builders=BOTH),
    Case(
        "run-odd-names", "FROM base\nRUN echo 1 > '/a b' && echo 2 > '/ü' && printf 3 > \"/new$(printf '\\nline')\"\n"
    ),
    Case("run-nothing", "FROM base\nRUN true\n", tolerated={"buildkit": EMPTY_LAYER}),
]
_CASES_OF_SURROUNDINGS = [
    Case("run-exec-form", 'FROM base\nRUN ["/bin/sh", "-c", "echo $HOME > /h"]\n', builders=BOTH),
    Case("run-user", "FROM base\nUSER nobody\nRUN id -u > /tmp/id && echo x > /tmp/x\n", builders=BOTH),
    Case("run-user-groups", "FROM base\nRUN echo extra:x:99:nobody >> /etc/group\nUSER nobody\nRUN id -G > /tmp/g\n"),
    Case("run-env", "FROM base\nENV A=1\nRUN env | grep -E '^(A|PATH|HOME)=' | sort > /env\n"),
    Case(
        "run-home-of-user",
        "FROM base\nRUN echo u:x:7:7::/home/u:/bin/sh >> /etc/passwd\nUSER u\nRUN echo $HOME > /tmp/h\n",
    ),
    Case("run-network-none", "FROM base\nRUN --network=none ls /sys/class/net > /n\n"),
    Case("run-capabilities", "FROM base\nRUN grep -E 'Cap(Bnd|Eff|Amb)' /proc/self/status > /caps\n"),
    Case(
        "run-no-privileges-for-user",
        "FROM base\nUSER nobody\nRUN grep -E 'Cap(Eff|Amb|Inh)' /proc/self/status > /tmp/c\n",
    ),
    Case("run-ulimit", "FROM base\nRUN ulimit -n > /n\n", flags=("--ulimit", "nofile=123:456")),
    Case(
        "run-listing",
        "FROM base\nRUN ls -a / > /l; ls -a /etc > /m\n",
        tolerated={"buildkit": paths("container's files", "l", "m")},
    ),
    Case(
        "run-mount-points",
        "FROM base\nRUN echo 1 > /etc/resolv.conf && echo 2 > /etc/hosts && echo 3 >> /etc/passwd\n",
        tolerated={"buildkit": Difference("writable mounts", refused_by="real")},
    ),
]
_CASES_OF_FAILURES = [
    Case("run-fails", "FROM base\nRUN exit 3\n", fails=True),
    Case("run-not-found", 'FROM base\nRUN ["/no/such"]\n', fails=True),
]
_CASES_OF_SQUASH = [
    Case(
        "squash",
        "FROM base\nRUN echo 1 > /a\nRUN rm /a && echo 2 > /b\nENV A=1\n",
        flags=("--squash",),
        builders=CLASSIC,
    ),
    Case("squash-base", "FROM with-folder\nRUN rm /d/one && chmod 700 /d\n", flags=("--squash",), builders=CLASSIC),
]
CASES = [*_CASES_OF_CHANGES, *_CASES_OF_SURROUNDINGS, *_CASES_OF_FAILURES, *_CASES_OF_SQUASH]
