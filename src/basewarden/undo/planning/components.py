"""Finds strongly connected components with Tarjan's algorithm, without recursion. Pure."""

from collections.abc import Iterable, Mapping, Sequence

Component = tuple[int, ...]


def find_components(numbers: Iterable[int], edges: Mapping[int, Sequence[int]]) -> list[Component]:
    """Each number is in one component; the components that its edges lead to come before it."""
    search = _TarjanSearch(edges)
    for number in numbers:
        search.visit(number)
    return search.groups


class _TarjanSearch:
    def __init__(self, edges: Mapping[int, Sequence[int]]) -> None:
        self._edges = edges
        self._index: dict[int, int] = {}
        self._low: dict[int, int] = {}
        self._stack: list[int] = []
        self._on_stack: set[int] = set()
        self.groups: list[Component] = []

    def visit(self, start: int) -> None:
        if start in self._index:
            return
        self._enter(start)
        path = [(start, iter(self._edges.get(start, ())))]
        while path:
            number, following = path[-1]
            other = next(following, None)
            if other is None:
                path.pop()
                self._leave(number, path[-1][0] if path else None)
            elif other not in self._index:
                self._enter(other)
                path.append((other, iter(self._edges.get(other, ()))))
            elif other in self._on_stack:
                self._low[number] = min(self._low[number], self._index[other])

    def _enter(self, number: int) -> None:
        self._index[number] = self._low[number] = len(self._index)
        self._stack.append(number)
        self._on_stack.add(number)

    def _leave(self, number: int, parent: int | None) -> None:
        if self._low[number] == self._index[number]:
            group = [self._stack.pop()]
            while group[-1] != number:
                group.append(self._stack.pop())
            self._on_stack.difference_update(group)
            self.groups.append(tuple(group))
        if parent is not None:
            self._low[parent] = min(self._low[parent], self._low[number])
