"""The long-lived objects of this process, found by their type."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

T = TypeVar("T")


class Registry:
    """Filled once by the features' `wiring.py`, read everywhere else; it is `app.state.registry`."""

    def __init__(self) -> None:
        self._objects: dict[type[Any], Any] = {}

    def add(self, instance: T) -> T:
        self._objects[type(instance)] = instance
        return instance

    def get(self, kind: type[T]) -> T:
        instance: T = self._objects[kind]
        return instance


def inject(kind: type[T]) -> Callable[[Request], Coroutine[Any, Any, T]]:
    """Makes a dependency: `VaultDep = Annotated[Vault, Depends(inject(Vault))]`."""

    async def find(request: Request) -> T:
        registry: Registry = request.app.state.registry
        return registry.get(kind)

    return find
