"""Cuts long texts of a read in the database, so that what a page cannot show never leaves it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pgrest.query.plan import ReadPlan
from pgrest.query.tree import Output, ReadNode

_TEXT: Final = "text"


@dataclass(frozen=True, slots=True)
class TextLimit:
    """How many characters of each column that is read as text; those in `whole` stay as they are."""

    characters: int
    whole: frozenset[str] = frozenset()


def cut_texts(plan: ReadPlan, limit: TextLimit) -> ReadPlan:
    """The same read with each `column::text` cut, also in embedded rows, where nothing stays whole."""
    return replace(plan, tree=_cut_node(plan.tree, limit))


def _cut_node(node: ReadNode, limit: TextLimit) -> ReadNode:
    below = TextLimit(limit.characters)
    return replace(
        node,
        outputs=_cut_outputs(node.outputs, limit),
        embeds=tuple(replace(embed, node=_cut_node(embed.node, below)) for embed in node.embeds),
    )


def _cut_outputs(outputs: Sequence[Output], limit: TextLimit) -> tuple[Output, ...]:
    return tuple(
        replace(output, alias=output.name, max_characters=limit.characters)
        if output.cast == _TEXT and output.aggregate is None and output.column.name not in limit.whole
        else output
        for output in outputs
    )
