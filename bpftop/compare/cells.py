"""Cells of a text read for all its rows at once: eight letters are one 64-bit number.

Digits are joined as in Daniel Lemire's "Quickly parsing eight digits" (2018): pairs, fours, eight, three
multiplications for all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WIDEST_NUMBER = 18
"""Digits that 63 bits hold in any case."""
_PAD = 8
_WORD = np.dtype("<u8")
_KEPT = np.array([((1 << 8 * width) - 1) << 8 * (8 - width) for width in range(9)], np.uint64)
"""By the number of letters: where the last of them are in a little-endian word."""
_ZEROS = np.uint64(0x3030303030303030)
_HIGH = np.uint64(0xF0F0F0F0F0F0F0F0)
_SIX = np.uint64(0x0606060606060606)
_JOINTS = (
    (np.uint64(10), np.uint64(8), np.uint64(0x00FF00FF00FF00FF)),
    (np.uint64(100), np.uint64(16), np.uint64(0x0000FFFF0000FFFF)),
    (np.uint64(10_000), np.uint64(32), np.uint64(0x00000000FFFFFFFF)),
)


class Cells:
    """A text in which cells are found by where they start and end: arrays of one shape (rows,)."""

    def __init__(self, data: NDArray[np.uint8]) -> None:
        self._data = data
        padded = np.concatenate((np.zeros(_PAD, np.uint8), data))
        # A view of the 8 bytes before every place, unaligned, without a copy.
        self._before = np.ndarray((len(data) + 1,), _WORD, padded, 0, (1,))

    def text(self, start: int, end: int) -> bytes:
        """One cell."""
        return self._data[start:end].tobytes()

    def numbers(self, starts: NDArray[np.intp], ends: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The cells as decimal numbers, and which of them are numbers."""
        widths = ends - starts
        good = (widths > 0) & (widths <= WIDEST_NUMBER)
        values = np.zeros(len(ends), np.uint64)
        for done in range(0, min(int(widths.max(initial=0)), WIDEST_NUMBER), 8):
            kept = _KEPT[np.clip(widths - done, 0, 8)]
            word = (self._before[np.maximum(ends - done, 0)] & kept) | (_ZEROS & ~kept)
            good &= ((word & _HIGH) == _ZEROS) & (((word + _SIX) & _HIGH) == _ZEROS)
            values += _joined(word - _ZEROS) * np.uint64(10**done)
        return values.astype(np.int64), good

    def like_first(self, starts: NDArray[np.intp], ends: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which cells have the letters of the first one."""
        width = int(ends[0] - starts[0])
        alike: NDArray[np.bool_] = ends - starts == width
        for done in range(0, width, 8):
            word = self._before[np.maximum(ends - done, 0)] & _KEPT[min(width - done, 8)]
            alike &= word == word[0]
        return alike


def _joined(word: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The number whose eight digits the bytes of each word are, the first digit lowest."""
    for factor, shift, mask in _JOINTS:
        word = (word * factor + (word >> shift)) & mask
    return word
