"""Names for containers that were not given one, and what a name may be."""

from __future__ import annotations

import random
import re

from lamina.errors import InvalidInput

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_LEFT = _words(
    "able amber ample arctic avid bold brave breezy bright brisk calm candid clever cosmic crisp curious daring deft "
    "eager early earnest fair fearless fluent fond frosty gentle glad golden grand hardy hearty honest humble jolly "
    "keen kind lively lucid lucky mellow merry mighty modest neat nimble noble patient placid polite prompt proud "
    "quick quiet rapid ready robust rosy serene sharp sleek snug solid spry steady sunny swift tidy tranquil upbeat "
    "vivid warm wise witty zesty"
)
_RIGHT = _words(
    "abel ampere babbage bernoulli bohr boole cantor cerf church codd curie darwin dijkstra dirac edison einstein "
    "erdos euclid euler fermat fermi feynman franklin galileo gauss germain goedel hamilton heisenberg herschel "
    "hopper huygens johnson joliot kepler knuth kolmogorov lamarr lamport laplace leavitt leibniz liskov lovelace "
    "maxwell mccarthy meitner mendel mirzakhani napier newton noether pascal pasteur planck ptolemy ramanujan "
    "ritchie shannon tesla thompson torvalds turing volta wiles wing wozniak"
)


def random_name(attempt: int = 0) -> str:
    """A name of two words; later attempts get a digit behind."""
    name = f"{random.choice(_LEFT)}_{random.choice(_RIGHT)}"
    return f"{name}{random.randrange(10)}" if attempt else name


def check_name(name: str) -> str:
    """The name without its leading slash. Raises InvalidInput for what is no name."""
    plain = name.removeprefix("/")
    if not _NAME.fullmatch(plain):
        raise InvalidInput(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name=name)
    return plain
