"""Large constants as one repeated value: the nodes as they were are kept, and values are told apart where that is wanted."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from bisect_convert.worker.read.writing import SLIM_ABOVE, slim


@pytest.mark.parametrize("distinct", [False, True])
def test_large_constants_are_one_value_each(distinct: bool) -> None:
    graph_def = tf.compat.v1.GraphDef()
    for number in range(5):
        node = graph_def.node.add(name=f"c{number}", op="Const")
        content = np.full([SLIM_ABOVE + 1 if number else 3], number, "f")
        node.attr["dtype"].type = tf.float32.as_datatype_enum
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(content))
    whole = tf.compat.v1.GraphDef.FromString(graph_def.SerializeToString())
    kept = slim(graph_def, distinct=distinct)
    assert [n.name for n in kept.node] == ["c1", "c2", "c3", "c4"] and list(kept.node) == list(whole.node)[1:]
    values = [tf.make_ndarray(n.attr["value"].tensor) for n in graph_def.node[1:]]
    assert all(len(np.unique(v)) == 1 and v.shape == (SLIM_ABOVE + 1,) for v in values)
    assert len({np.float16(v[0]) for v in values}) == (4 if distinct else 1)
    assert graph_def.node[0] == whole.node[0]
