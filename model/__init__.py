"""The RMAAT model, its baselines and AMRB, the training that keeps only memory tokens.

    from model import ModelParameters, build_model
    model = build_model(ModelParameters(segment_length=512, segments=16), tables)
    logits = model(tokens, lengths)

`__init__.pyi` lists the names. They load on first use, so that reading a run folder or asking for help loads no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
