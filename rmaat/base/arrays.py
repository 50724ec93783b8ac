"""The array type of the numerical code; values have double precision unless a function says otherwise."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
