"""The array type of this package: double precision, because traces are compared to one part in a million."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
