"""Marks sealed columns in the models, so that a key rotation finds every one of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, LargeBinary, MetaData, Table
from sqlalchemy.orm import MappedColumn, mapped_column

_MARK = "sealed"


@dataclass(frozen=True)
class SealedColumn:
    """`place_name` is the `Place.column` that its values are sealed for."""

    table: Table
    column: Column[Any]

    @property
    def place_name(self) -> str:
        return f"{self.table.name}.{self.column.name}"


def sealed_column(*, nullable: bool = False) -> MappedColumn[Any]:
    """A column of values sealed for `Place("<table>.<column>", <its row's id>)`."""
    return mapped_column(LargeBinary, nullable=nullable, info={_MARK: True})


def list_sealed_columns(metadata: MetaData) -> Iterator[SealedColumn]:
    for table in metadata.sorted_tables:
        for column in table.columns:
            if column.info.get(_MARK):
                yield SealedColumn(table, column)
