"""What other ways of finding the op take on the same models: layer by layer, bisection of prefixes, `polygraphy debug reduce`.

Each is given what is best for it: the frozen graph that coremltools makes, sections handed over as concrete functions, one
process for all conversions where the way allows for it. Only the failure that the whole model has counts as failing.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from processes import environment, ours

__all__ = ["measure"]

#: The model as ONNX; what ONNX has no op for stays as it is, and gets one that polygraphy can run.
_ONNX = """
import sys, onnx
model = onnx.load(sys.argv[1])
for node in model.graph.node:
    node.op_type = {"Erfc": "Erf"}.get(node.op_type, node.op_type)
onnx.save(model, sys.argv[1])
"""
#: Fails where the op is there, and says whether it is, with the name of each op.
_CHECK = "import sys, onnx; sys.exit(any(n.op_type == 'Erf' for n in onnx.load('polygraphy_debug.onnx').graph.node))"
_NODES = "import sys, onnx; print(*(n.name for n in onnx.load(sys.argv[1]).graph.node), sep='\\n')"


def measure(models: Sequence[Path], polygraphy: str | None) -> None:
    """Print a table of the ways: how many conversions each made, in what time, and what it blames."""
    print(f"{'model':14}{'way':22}{'conversions':>12}{'seconds':>9}{'blamed':>8}{'at fault':>10}{'in all':>8}")
    for model in models:
        ways = {"bisect-convert": ours(model) + ["--format", "json"]}
        ways |= {way: [sys.executable, __file__, way, str(model)] for way in ("layer by layer", "prefixes")}
        if polygraphy is not None:
            ways["polygraphy"] = [sys.executable, __file__, "polygraphy", str(model), polygraphy]
        at_fault: Collection[str] = ()
        for way, command in ways.items():
            started = time.monotonic()
            done = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment()
            )
            seconds, answer = time.monotonic() - started, json.loads(done.stdout)
            if way == "bisect-convert":
                at_fault = {name for f in answer["findings"] for place in f["places"] for name in place}
                answer = {"conversions": answer["probes"]["asked"], "blamed": sorted(at_fault)}
            right = len(at_fault & set(answer["blamed"]))
            print(
                f"{model.name:14}{way:22}{answer['conversions']:12}{seconds:9.1f}{len(answer['blamed']):8}{right:10}"
                f"{len(at_fault):8}",
                flush=True,
            )


class Graph:
    """The frozen graph, whose sections are converted; `ops`: what is no constant, in an order of their data."""

    def __init__(self, graph_def: Any) -> None:
        self.nodes = {node.name: node for node in graph_def.node}
        self.graph_def = graph_def
        self.conversions = 0
        constant: dict[str, bool] = {}
        order: list[str] = []
        for name in self._sorted():
            reads = self.reads(name)
            constant[name] = self.nodes[name].op == "Const" or (bool(reads) and all(constant[r] for r in reads))
            order += [] if constant[name] or self.nodes[name].op == "Placeholder" else [name]
        self.ops, self.constant = order, constant

    def reads(self, name: str) -> list[str]:
        """The nodes that the node reads."""
        return [i.partition(":")[0] for i in self.nodes[name].input if i[0] != "^"]

    def _sorted(self) -> list[str]:
        done: dict[str, None] = {}
        for start in self.nodes:
            todo = [start]
            while todo:
                missing = [r for r in self.reads(todo[-1]) if r not in done]
                todo += missing
                if not missing:
                    done.setdefault(todo.pop())
        return list(done)

    def error(self, ops: Collection[str]) -> str:
        """What the conversion of these ops says, what they read elsewhere made inputs; empty where it succeeds."""
        import coremltools as ct
        import tensorflow as tf

        self.conversions += 1
        chosen, made = set(ops), tf.compat.v1.GraphDef(versions=self.graph_def.versions)
        read = {r for name in chosen for r in self.reads(name)}
        inputs, todo = (
            [r for r in read if not self.constant[r] and r not in chosen],
            [r for r in read if self.constant[r]],
        )
        kept = set(chosen)
        while todo:
            kept.add(name := todo.pop())
            todo += self.reads(name)
        made.node.extend(self.nodes[name] for name in self.nodes if name in kept)
        for name in inputs:
            node = made.node.add(name=name, op="Placeholder")
            node.attr["dtype"].type = tf.float32.as_datatype_enum
            node.attr["shape"].shape.CopyFrom(self.nodes[name].attr["_output_shapes"].list.shape[0])
        function = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(made, name=""), [])
        tensor = function.graph.get_tensor_by_name
        ends = [tensor(f"{name}:0") for name in ops if name not in read]
        try:
            ct.convert([function.prune([tensor(f"{name}:0") for name in inputs], ends)], source="tensorflow")
        except Exception as error:
            return f"{type(error).__name__}: {str(error).splitlines()[0][:60]}"
        return ""


def layer_by_layer(graph: Graph) -> list[str]:
    """The layer with which the model that ends there first fails; a layer is what follows each other in one scope."""
    ops: list[str] = []
    for _, names in itertools.groupby(graph.ops, lambda name: name.rpartition("/")[0]):
        ops += (layer := list(names))
        if graph.error(ops):
            return layer
    return []


def prefixes(graph: Graph) -> list[str]:
    """The op with which the prefixes begin to fail as the whole does."""
    wanted, low, high = graph.error(graph.ops), 0, len(graph.ops)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if graph.error(graph.ops[:middle]) == wanted else (middle, high)
    return graph.ops[low:high]


def polygraphy(model: Path, python: str) -> tuple[int, list[str]]:
    """How often `polygraphy debug reduce` asks on the model as ONNX, and what is left then; a check looks for the op alone."""
    with tempfile.TemporaryDirectory() as folder:

        def say(*command: str) -> str:
            done = subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=sys.stderr)
            return done.stdout

        say(
            python,
            "-m",
            "tf2onnx.convert",
            "--saved-model",
            str(model.resolve()),
            "--output",
            "model.onnx",
            "--opset",
            "17",
        )
        say(python, "-c", _ONNX, "model.onnx")
        program = str(Path(python).with_name("polygraphy"))
        told = say(program, "debug", "reduce", "model.onnx", "-o", "left.onnx", "--check", python, "-c", _CHECK)
        return told.count("RUNNING | Iteration"), say(python, "-c", _NODES, "left.onnx").split()


def main() -> int:
    """Go one way, and print what came of it as JSON."""
    import tensorflow as tf

    from bisect_convert.worker import private_api

    way, model, *rest = sys.argv[1:]
    if way == "polygraphy":
        conversions, blamed = polygraphy(Path(model), *rest)
    else:
        loaded = tf.saved_model.load(model)  # its variables live as long as it does
        frozen = private_api.freeze(loaded.signatures["serving_default"])
        with tf.Graph().as_default() as shaped:
            tf.import_graph_def(frozen, name="")
        graph = Graph(shaped.as_graph_def(add_shapes=True))
        blamed = {"layer by layer": layer_by_layer, "prefixes": prefixes}[way](graph)
        conversions = graph.conversions
    print(json.dumps({"conversions": conversions, "blamed": blamed}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
