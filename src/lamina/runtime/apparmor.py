"""AppArmor: whether the host has it, Docker's default profile, and what an option means there.

Whether it is there is read from the kernel's own files (apparmor(7)); a profile is loaded by `apparmor_parser`. The
profile forbids what moby's docker-default forbids.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from pathlib import Path

from lamina.errors import InvalidInput, Unavailable

DEFAULT = "docker-default"
UNCONFINED = "unconfined"
_LOAD_SECONDS = 60.0  # the parser compiles the profile

_RULES = """
  network,
  deny network alg,
  capability,
  file,
  umount,

  # Signals come from the host, from the runtimes and the engine, and from inside.
  signal (receive) peer=unconfined,
  signal (receive) peer=runc,
  signal (receive) peer=crun,
  signal (receive) peer="{engine}",
  signal (send, receive) peer="{name}",
  ptrace (trace, tracedby, read, readby) peer="{name}",

  deny mount,

  # Below /proc only processes and sys are written, and of sys only kernel/shm*.
  deny @{{PROC}}/* w,
  deny @{{PROC}}/{{[^1-9s/],s[^y/],sy[^s/],sys[^/]}}*/** w,
  deny @{{PROC}}/sys/{{[^k/],k[^e/],ke[^r/]}}** w,
  deny @{{PROC}}/sys/kernel/{{[^s/],s[^h/],sh[^m/]}}** w,
  deny @{{PROC}}/sysrq-trigger rwklx,
  deny @{{PROC}}/kcore rwklx,

  # Below /sys only fs/cgroup is written.
  deny /sys/{{[^f/],f[^s/],fs[^/]}}*/** wklx,
  deny /sys/fs/{{[^c/],c[^g/],cg[^r/]}}*/** wklx,
  deny /sys/firmware/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
  deny /sys/kernel/security/** rwklx,
"""


class AppArmor:
    """AppArmor of the host whose files lie below `root`. Thread-safe."""

    def __init__(self, root: Path = Path("/"), parser: str | None = None) -> None:
        """`parser` is the path of apparmor_parser; None means one in the usual places."""
        self._root = root
        self._parser = parser or shutil.which("apparmor_parser", path="/usr/sbin:/sbin:/usr/bin:/bin")
        self._lock = threading.Lock()

    @property
    def enabled(self) -> bool:
        """Return whether the kernel confines by profiles, and tells which ones it has."""
        return self._read("sys/module/apparmor/parameters/enabled").startswith("Y") and self._profiles.exists()

    @property
    def in_force(self) -> bool:
        """Return whether containers are confined by the default profile."""
        return self.enabled and (self._parser is not None or DEFAULT in self.loaded())

    def loaded(self) -> frozenset[str]:
        """Return the names of the profiles that the kernel has."""
        lines = self._read("sys/kernel/security/apparmor/profiles").splitlines()
        return frozenset(line.rpartition(" (")[0] for line in lines)

    def check(self, profile: str) -> None:
        """Raise InvalidInput where the host cannot confine by `profile`; "" and "unconfined" always can be."""
        if profile in ("", UNCONFINED) or (profile == DEFAULT and self.in_force):
            return
        if not self.enabled:
            raise InvalidInput(
                f"--security-opt apparmor={profile} cannot be applied: this host has no AppArmor",
                advice="Leave the option out, or pass apparmor=unconfined",
                option=f"apparmor={profile}",
            )
        if profile not in self.loaded():
            raise InvalidInput(
                f"--security-opt apparmor={profile} cannot be applied: no such profile is loaded",
                advice="Load it with apparmor_parser",
                option=f"apparmor={profile}",
            )

    def resolve(self, profile: str) -> str:
        """Return the profile that a process starts with, "" for none; the default one is loaded where it is missing.

        Raise InvalidInput as `check` does, and Unavailable when the default profile cannot be loaded.
        """
        self.check(profile)
        if not self.enabled:
            return ""
        if profile == "" and not self.in_force:
            return ""
        chosen = profile or DEFAULT
        if chosen == DEFAULT:
            self._load_default()
        return chosen

    def _load_default(self) -> None:
        """Load the profile. An upgrade of the host's AppArmor may unload it at any time."""
        with self._lock:
            if DEFAULT in self.loaded() or self._parser is None:
                return
            command = [self._parser, "--skip-cache", "--replace"]
            try:
                done = subprocess.run(
                    command, input=self.text(), capture_output=True, text=True, timeout=_LOAD_SECONDS, check=False
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise Unavailable(f"the AppArmor profile {DEFAULT} could not be loaded: {error}") from error
            if done.returncode:
                raise Unavailable(f"the AppArmor profile {DEFAULT} could not be loaded: {done.stderr.strip()}")

    def text(self) -> str:
        """Return the default profile in apparmor.d(5)'s language, with what the host has of the usual includes."""
        policies = self._root / "etc/apparmor.d"
        head = ["abi <abi/3.0>,"] if (policies / "abi/3.0").exists() else []
        tunables = (policies / "tunables/global").exists()
        head.append("include <tunables/global>" if tunables else "@{PROC}=/proc/")
        base = "  include <abstractions/base>\n" if (policies / "abstractions/base").exists() else ""
        engine = self._read("proc/self/attr/current").rpartition(" (")[0] or UNCONFINED
        rules = _RULES.format(name=DEFAULT, engine=engine)
        flags = "flags=(attach_disconnected, mediate_deleted)"
        return "\n".join(head) + f'\n\nprofile "{DEFAULT}" {flags} {{\n{base}{rules}}}\n'

    @property
    def _profiles(self) -> Path:
        return self._root / "sys/kernel/security/apparmor/profiles"

    def _read(self, path: str) -> str:
        try:
            return (self._root / path).read_text(errors="replace").rstrip("\n\0")
        except OSError:
            return ""
