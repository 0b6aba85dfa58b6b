"""The scheduler of one build's graph: it runs the vertices that an answer needs, each once, several at a time.

It knows nothing of what a vertex does. `perform` gets a vertex and the values of its inputs, and returns the values of
its outputs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from lamina.builder.graph.vertex import Edge, Vertex, in_order
from lamina.cancellation import Cancellation
from lamina.errors import Cancelled, InvalidInput

T = TypeVar("T")
Perform = Callable[[Vertex, Sequence[T]], Sequence[T]]
_AT_ONCE = 8  # vertices that run at the same time


@dataclass(slots=True)
class _Task(Generic[T]):
    """A vertex that waits, runs or has run."""

    vertex: Vertex
    missing: int = 0  # inputs that have no value yet
    waiting: list[_Task[T]] = field(default_factory=list)  # those that need this one
    outcome: Future[Sequence[T]] = field(default_factory=Future)


class Scheduler(Generic[T]):
    """Evaluates edges with `perform`, which is called in threads of the scheduler's own. Thread-safe.

        with Scheduler(perform, cancellation) as scheduler:
            value = scheduler.evaluate(edge)

    Values are kept until the scheduler is closed, so that a vertex runs once however many edges lead to it. One that
    failed runs again when it is asked for again. Leaving the block waits for what still runs.
    """

    def __init__(
        self,
        perform: Perform[T],
        cancellation: Cancellation,
        run: Callable[[Callable[[], None]], None] = lambda work: work(),
    ) -> None:
        """`run` calls what it is given, in the thread that runs a vertex: it can set up what the thread needs."""
        self._perform = perform
        self._run = run
        self._cancellation = cancellation
        self._lock = threading.Lock()
        self._tasks: dict[str, _Task[T]] = {}
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="lamina-vertex")

    def evaluate(self, edge: Edge) -> T:
        """Return the value of an output. Vertices that it does not need do not run.

        Raise what `perform` raises for the first vertex that fails, and Cancelled. Others that run already go on.
        """
        return self.evaluate_all([edge])[0]

    def evaluate_all(self, edges: Sequence[Edge]) -> list[T]:
        """Return the values of several outputs, which may be made at the same time. Raise as `evaluate` does."""
        self._cancellation.check()
        tasks = self._begin(edges)
        return [_output(tasks[edge.vertex.digest].outcome.result(), edge) for edge in edges]

    def _begin(self, edges: Sequence[Edge]) -> dict[str, _Task[T]]:
        """Have all vertices run that are needed and have not begun. Return the tasks by digest."""
        ready: list[_Task[T]] = []
        needed: dict[str, _Task[T]] = {}
        with self._lock:
            for vertex in in_order(edges):
                task = self._tasks.get(vertex.digest)
                if task is None:
                    task = self._tasks[vertex.digest] = self._wait_for_inputs(vertex, needed)
                    if not task.missing:
                        ready.append(task)
                needed[vertex.digest] = task
        for task in ready:
            self._submit(task)
        return needed

    def _wait_for_inputs(self, vertex: Vertex, needed: dict[str, _Task[T]]) -> _Task[T]:
        task = _Task[T](vertex)
        for digest in {edge.vertex.digest for edge in vertex.inputs}:
            below = needed[digest]
            if not below.outcome.done():
                below.waiting.append(task)
                task.missing += 1
        return task

    def _submit(self, task: _Task[T]) -> None:
        try:
            self._pool.submit(self._run, lambda: self._do(task))
        except RuntimeError:  # closed meanwhile
            self._fail(task, Cancelled("the build has ended"))

    def _do(self, task: _Task[T]) -> None:
        try:
            self._cancellation.check()
            with self._lock:
                tasks = [self._tasks[edge.vertex.digest] for edge in task.vertex.inputs]
            inputs = [
                _output(below.outcome.result(), edge) for below, edge in zip(tasks, task.vertex.inputs, strict=True)
            ]
            outputs = self._perform(task.vertex, inputs)
        except BaseException as error:  # raised again by whoever waits for the vertex
            self._fail(task, error)
        else:
            for following in self._finish(task, outputs):
                self._submit(following)

    def _finish(self, task: _Task[T], outputs: Sequence[T]) -> list[_Task[T]]:
        """Note the outputs of a vertex. Return those that can run now."""
        with self._lock:
            task.outcome.set_result(outputs)
            waiting, task.waiting = task.waiting, []
            for following in waiting:
                following.missing -= 1
            return [following for following in waiting if not (following.missing or following.outcome.done())]

    def _fail(self, task: _Task[T], error: BaseException) -> None:
        """Note that a vertex failed, and with it all that need it. They can be asked for again."""
        with self._lock:
            todo = [task]
            while todo:
                failed = todo.pop()
                if not failed.outcome.done():
                    failed.outcome.set_exception(error)
                if self._tasks.get(failed.vertex.digest) is failed:
                    del self._tasks[failed.vertex.digest]
                todo += failed.waiting
                failed.waiting = []

    def close(self) -> None:
        """Wait for what runs. A second call does nothing."""
        self._pool.shutdown()

    def __enter__(self) -> Scheduler[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _output(outputs: Sequence[T], edge: Edge) -> T:
    if not 0 <= edge.index < len(outputs):
        raise InvalidInput(
            f"the graph asks for output {edge.index} of a vertex that has {len(outputs)}", vertex=edge.vertex.digest
        )
    return outputs[edge.index]
