"""What containers may use up of the name server."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class NameLimits:
    """Numbers for one sandbox and for all of them; times in seconds.

    A question that is forwarded costs a descriptor for each server that is asked, a connection one.
    """

    sandbox_questions: int = 1024  # that wait for an answer from outside; as dockerd
    questions: int = 8192
    sandbox_connections: int = 32
    connections: int = 1024
    connection_questions: int = 4  # of one connection at once; it is not read from meanwhile
    turn: int = 16  # datagrams of one sandbox before others have their turn
    sandbox_rate: int = 500  # datagrams of one sandbox in a tick; the rest waits in the kernel, or is lost there
    tick: float = 0.1
    next_server: float = 2.0  # before the next server is asked, too
    answer: float = 8.0  # before the question is given up
    silent_server: float = 30.0  # for so long, a server that did not answer is asked last
    idle_connection: float = 10.0
    deserted: float = 60.0  # between two looks for sandboxes without processes, while there is no engine
    quiet: float = 60.0  # between two lines of the log about the same thing

    def within(self, descriptors: int) -> NameLimits:
        """Return limits that leave half of the process's `descriptors` to the sandboxes' own sockets."""
        most = max(16, descriptors // 4)
        return replace(self, questions=min(self.questions, most), connections=min(self.connections, most // 4))
