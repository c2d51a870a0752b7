"""How things show themselves: constructor calls and tables of text."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]], foot: str = '') -> str:
    """Rows of text in aligned columns; columns of numbers are aligned right.

    >>> print(table(['name', 'count'], [['weight', 12], ['b', 3]], 'total 15'))
    name    count
    ------  -----
    weight     12
    b           3
    total 15
    """
    rows = [list(row) for row in rows]
    text = [[f'{cell:,}' if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *text, strict=True)]
    numeric = [bool(rows) and all(isinstance(row[i], int) for row in rows) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (c.rjust(w) if right else c.ljust(w) for c, w, right in zip(cells, widths, numeric, strict=True))
        return '  '.join(padded).rstrip()

    return '\n'.join([line(head), line(['-' * width for width in widths]), *map(line, text), *([foot] if foot else [])])
