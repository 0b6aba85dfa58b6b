"""The scheduler on vertices that add integers: what runs, how often, and what a failure does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from lamina.builder.graph.operations import Operation
from lamina.builder.graph.vertex import Edge, Vertex, in_order
from lamina.builder.solve.scheduler import Scheduler
from lamina.cancellation import Cancellation
from lamina.errors import Cancelled, CommandFailed, InvalidInput


class Add(Operation, frozen=True, kw_only=True):
    """Add a number to the sum of the inputs. The second output is its double."""

    number: int


class Adding:
    """Runs Add vertices and counts them. `before` is called with the number of each that runs."""

    def __init__(self, before: Callable[[int], None] = lambda number: None) -> None:
        self.runs: list[int] = []
        self.before = before

    def __call__(self, vertex: Vertex, inputs: Sequence[int]) -> Sequence[int]:
        assert isinstance(vertex.operation, Add)
        self.before(vertex.operation.number)
        self.runs.append(vertex.operation.number)
        total = vertex.operation.number + sum(inputs)
        return total, 2 * total


def add(number: int, *inputs: Edge | Vertex) -> Vertex:
    edges = (item if isinstance(item, Edge) else Edge(item) for item in inputs)
    return Vertex.of(Add(number=number), edges)


def test_each_vertex_runs_once_and_only_if_it_is_needed() -> None:
    shared = add(1)
    left, right, unneeded = add(10, shared), add(20, shared), add(99, shared)
    top = add(100, left, Edge(right, 1), right)
    adding = Adding()
    with Scheduler(adding, Cancellation()) as scheduler:
        assert scheduler.evaluate(Edge(top)) == 100 + 11 + 42 + 21
        assert scheduler.evaluate(Edge(left, 1)) == 22
    assert sorted(adding.runs) == [1, 10, 20, 100]
    assert unneeded.digest != left.digest


def test_a_vertex_is_named_by_its_content() -> None:
    assert add(1).digest == add(1).digest
    assert add(1, add(2)).digest != add(1, Edge(add(2), 1)).digest
    assert add(1, add(2)).digest != add(1).digest


def test_equal_vertices_are_one() -> None:
    adding = Adding()
    with Scheduler(adding, Cancellation()) as scheduler:
        assert scheduler.evaluate(Edge(add(3, add(1), add(1)))) == 5
    assert sorted(adding.runs) == [1, 3]


def test_independent_vertices_run_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=30)

    def before(number: int) -> None:
        if number:
            meeting.wait()

    adding = Adding(before)
    with Scheduler(adding, Cancellation()) as scheduler:
        assert scheduler.evaluate(Edge(add(0, add(1), add(2)))) == 3


def test_answers_that_are_asked_for_at_the_same_time_share_vertices() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def before(number: int) -> None:
        if number == 1:
            begun.set()
            assert go_on.wait(30)

    adding = Adding(before)
    shared = add(1)
    with Scheduler(adding, Cancellation()) as scheduler, ThreadPoolExecutor() as pool:
        first = pool.submit(scheduler.evaluate, Edge(add(10, shared)))
        assert begun.wait(30)
        second = pool.submit(scheduler.evaluate, Edge(add(20, shared)))
        go_on.set()
        assert (first.result(30), second.result(30)) == (11, 21)
    assert adding.runs.count(1) == 1


def test_a_failure_is_raised_and_can_be_tried_again() -> None:
    broken = [True]

    def before(number: int) -> None:
        if number == 1 and broken[0]:
            raise CommandFailed("one is broken")

    adding = Adding(before)
    top = add(3, add(2, add(1)), add(4))
    with Scheduler(adding, Cancellation()) as scheduler:
        with pytest.raises(CommandFailed, match="one is broken"):
            scheduler.evaluate(Edge(top))
        assert not {2, 3} & set(adding.runs)
        broken[0] = False
        assert scheduler.evaluate(Edge(top)) == 10
    assert adding.runs.count(4) == 1


def test_a_graph_as_deep_as_it_is_large() -> None:
    top = add(0)
    for number in range(1, 5_000):
        top = add(number, top)
    assert len(in_order([Edge(top)])) == 5_000
    with Scheduler(Adding(), Cancellation()) as scheduler:
        assert scheduler.evaluate(Edge(top)) == sum(range(5_000))


def test_nothing_runs_once_it_is_cancelled() -> None:
    cancellation = Cancellation()
    adding = Adding(lambda number: cancellation.cancel("enough"))
    with Scheduler(adding, cancellation) as scheduler:
        with pytest.raises(Cancelled, match="enough"):
            scheduler.evaluate(Edge(add(2, add(1))))
        with pytest.raises(Cancelled):
            scheduler.evaluate(Edge(add(5)))
    assert adding.runs == [1]


def test_an_output_that_is_not_there_is_refused() -> None:
    with Scheduler(Adding(), Cancellation()) as scheduler:
        with pytest.raises(InvalidInput, match="output 2"):
            scheduler.evaluate(Edge(add(1), 2))
        with pytest.raises(InvalidInput, match="output 7"):
            scheduler.evaluate(Edge(add(2, Edge(add(1), 7))))
