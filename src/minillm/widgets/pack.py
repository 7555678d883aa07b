"""Numbers as short strings, so that a page can carry a whole model's counts or maps.

JSON spends about six characters on a number. Unsigned integers in base64 cost 1.4
characters a byte, and the variable-length form (LEB128: seven bits a byte, the eighth says
"more follows") brings most n-gram counts down to one or two bytes. `js/shared.js` holds the
readers. Book: chapters "Predicting the next word" and "Many heads, masks and maps".
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[Any]


def as_array(values: Any) -> NDArray[np.float64]:
    """A float64 array from a list, a NumPy array or a tensor on any device.

    >>> as_array(torch.tensor([0.5, 1.0]))
    array([0.5, 1. ])
    """
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().double().numpy()
    return np.asarray(values, dtype=np.float64)


def pack_uints(values: Any, bits: int) -> str:
    """Base64 of unsigned little-endian integers of 8 or 16 bits.

    >>> pack_uints([0, 255], 8)
    'AP8='
    """
    array = np.asarray(values)
    if array.size and (array.min() < 0 or array.max() >= 2**bits):
        raise ValueError(f"values {array.min()}..{array.max()} do not fit into {bits} bits")
    return base64.b64encode(array.astype(f"<u{bits // 8}").tobytes()).decode()


def pack_varints(numbers: Iterable[int]) -> str:
    """Base64 of non-negative integers in the variable-length form LEB128.

    >>> base64.b64decode(pack_varints([3, 300])).hex(" ")
    '03 ac 02'
    """
    out = bytearray()
    for number in numbers:
        if number < 0:
            raise ValueError(f"cannot pack {number}: only numbers from 0 upwards have this form")
        rest = number
        while rest > 127:
            out.append(rest & 127 | 128)
            rest >>= 7
        out.append(rest)
    return base64.b64encode(out).decode()
