"""The graph of one segment, differentiated by itself."""

import torch

from model.memory.graph import Graph


def test_outputs_without_a_graph_give_no_gradient_to_any_part_of_the_state():
    state = torch.ones(2), torch.ones(3), torch.ones(4)
    graph = Graph(state, (), (torch.zeros(2),))
    assert graph.backward([torch.ones(2)], verify=True) == [None, None, None]
    assert graph.backward([None], verify=True) == [None, None, None]
