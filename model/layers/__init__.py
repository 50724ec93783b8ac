"""Layers of a network.

`attention` is the specification, `fused` its fast form, `causal` its causal form, `causal_softmax` that of softmax.
`state_space` is a peer of attention. `positions` has the relative positions. `block` joins one of them with a
feed-forward part.
"""
