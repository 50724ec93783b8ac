"""The RMAAT model, its baselines, and AMRB, which trains them with only the memory tokens kept.

    from model import ModelParameters, build_model
    model = build_model(ModelParameters(segment_length=512, segments=16), tables)
    logits = model(tokens, lengths)

`__init__.pyi` lists the public names. They are imported on first use, so that help texts and run folders need no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
