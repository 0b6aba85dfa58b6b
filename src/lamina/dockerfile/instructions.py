"""The typed instructions: what each one says, before expansion. Frozen values; `origin` tells where it stands.

Rule: Dockerfile reference. Text that may hold `$NAME` is kept as written; `lamina.dockerfile.expansion` expands it.
"""

from __future__ import annotations

from dataclasses import dataclass

from lamina.dockerfile.position import Lines
from lamina.dockerfile.split import Pair


@dataclass(frozen=True, slots=True)
class Origin:
    """The logical line of an instruction (continuations joined, outer space gone), its range in the file, and the
    comment lines right above it, without the #."""

    text: str
    lines: Lines
    comments: tuple[str, ...] = ()

    @property
    def keyword(self) -> str:
        """Return the instruction's name as it is written."""
        return self.text.split(maxsplit=1)[0]

    def description(self, name: str) -> str:
        """Return what the comment above says about `name`, an argument or a stage; empty where it says nothing."""
        texts = [comment.removeprefix(f"{name} ") for comment in self.comments if comment.startswith(f"{name} ")]
        return texts[0] if name and texts else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """Base of all instructions. `str()` is the line as the classic builder prints it after "Step 1/8 : "."""

    origin: Origin

    def __str__(self) -> str:
        return self.origin.text


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A command: exec form (`shell` False, arguments as given) or shell form (one string for the shell).

    `files` are the here-documents of RUN.
    """

    arguments: tuple[str, ...]
    shell: bool
    files: tuple[InlineFile, ...] = ()


@dataclass(frozen=True, slots=True)
class InlineFile:
    """A here-document as a source or as a command's input. `expand` tells whether names in `text` are expanded."""

    name: str
    text: str
    expand: bool = True
    strip_tabs: bool = False  # `text` already has its tabs stripped; kept for who shows the source
    descriptor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Arg(Instruction):
    """ARG: each argument with its default, None where it has none."""

    arguments: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class From(Instruction):
    """FROM: base, platform (empty: the build's), and the stage's name in lower case (empty: none)."""

    base: str
    platform: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Instruction):
    """What COPY and ADD share. `chmod` and `chown` are empty when not given."""

    sources: tuple[str, ...]
    destination: str
    inline: tuple[InlineFile, ...] = ()
    chown: str = ""
    chmod: str = ""
    link: bool = False
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Transfer):
    """COPY: from the context, or from the stage or image named by `source_image`."""

    source_image: str = ""  # --from
    parents: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(Transfer):
    """ADD: like COPY from the context, and archives, URLs and git repositories."""

    checksum: str = ""
    keep_git_dir: bool | None = None
    unpack: bool | None = None  # None: local archives are unpacked, downloaded ones are not


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Instruction):
    """RUN. `mounts` and `devices` are the flags' texts: `lamina.dockerfile.mounts` parses them once names are known."""

    command: CommandLine
    mounts: tuple[str, ...] = ()
    network: str = "default"  # default, none or host
    security: str = "sandbox"  # sandbox or insecure
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmd(Instruction):
    """CMD: what a container runs, or the arguments of ENTRYPOINT; an empty command resets it."""

    command: CommandLine


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrypoint(Instruction):
    """ENTRYPOINT: what a container always runs; an empty command resets it."""

    command: CommandLine


@dataclass(frozen=True, slots=True, kw_only=True)
class Env(Instruction):
    """ENV, in the order of the line: later pairs see the ones before only from the next line on."""

    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Label(Instruction):
    """LABEL; `expand` is False for labels that come from the command line."""

    pairs: tuple[Pair, ...]
    expand: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Expose(Instruction):
    """EXPOSE, ports sorted as text."""

    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck(Instruction):
    """HEALTHCHECK: `test` is ("NONE",), ("CMD", …) or ("CMD-SHELL", text). Durations in nanoseconds, 0 for default."""

    test: tuple[str, ...]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintainer(Instruction):
    """MAINTAINER, deprecated: the author of the image."""

    author: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OnBuild(Instruction):
    """ONBUILD: the instruction to run later, as text, bodies of heredocs included."""

    trigger: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell(Instruction):
    """SHELL: what runs the shell form of the instructions that follow."""

    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSignal(Instruction):
    """STOPSIGNAL: a number, or a name such as SIGTERM."""

    signal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class User(Instruction):
    """USER: `user[:group]`, names or numbers."""

    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume(Instruction):
    """VOLUME: directories that get a volume of their own."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workdir(Instruction):
    """WORKDIR: an absolute path, or one below the present directory."""

    path: str
