"""From simulated traces to the tables that the model uses.

    from distill import distil, write_tables
    tables = distil(traces)
    tables.retention(segments=8)

`default_tables` reads the tables that come with the package. `__init__.pyi` lists the public names. They load on first
use, so that reading tables loads neither the simulator nor torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
