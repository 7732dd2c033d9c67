"""A session is read in pages that bound how much is held at a time."""

from basewarden.undo.recorded_writes import PAGE_BYTES, PAGE_ROWS, cut_pages


def test_pages_hold_so_many_rows() -> None:
    sizes = [(position, 10) for position in range(1, 2 * PAGE_ROWS + 51)]
    assert cut_pages(sizes) == [PAGE_ROWS, 2 * PAGE_ROWS, 2 * PAGE_ROWS + 50]


def test_pages_hold_so_many_bytes_but_one_row_at_least() -> None:
    assert cut_pages([(1, 2 * PAGE_BYTES), (2, 1), (3, 1), (7, PAGE_BYTES), (8, 1)]) == [1, 3, 7, 8]
    assert cut_pages([]) == []
