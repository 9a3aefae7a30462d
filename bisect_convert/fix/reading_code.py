"""The part of a script that reads the model: a SavedModel, a Keras file or a frozen graph, as it was read for the fix."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Escaped", "Source", "reading_code"]

_FREEZING = '''

def frozen(path: str) -> Any:
    """Return the graph that coremltools itself would convert, with its functions as TensorFlow has them."""
    function, _owner = traced(path)
    graph_def = {frozen}
{defaults}    for body in graph_def.library.function:
        if context.context().has_function(body.signature.name):
            body.CopyFrom(context.context().get_function_def(body.signature.name))
    return shaped(graph_def)
'''
_SAVED_MODEL = '''

@cache
def traced(path: str) -> tuple[Any, Any]:
    """Return the signature of the SavedModel, and what owns it and is to be kept as long."""
    loaded = tf.saved_model.load(path)
    return loaded.signatures[{signature}], loaded
'''
_KNOWN = '''

def known(*modules: Any) -> dict[str, Any]:
    """Return the classes and functions that the modules define, by their names."""
    return {name: value for module in modules for name, value in vars(module).items() if callable(value)}
'''
_KERAS = '''

@cache
def traced(path: str) -> tuple[Any, Any]:
    """Return the Keras model as a function, and what owns it and is to be kept as long."""
    model = tf.keras.models.load_model(path, compile=False{safe}{custom})
{traced}'''
#: As coremltools traces it, and where that refuses the model.
_BY_COREMLTOOLS = "    return TF2Loader._concrete_fn_from_tf_keras(model)[0], model\n"
_BY_CALLING = """\
    specs = [
        tf.TensorSpec(i.shape, i.dtype, name=getattr(i, "name", f"input_{n}").split(":")[0])
        for n, i in enumerate(model.inputs)
    ]

    def call(*inputs: Any) -> Any:
        return model(inputs[0] if len(inputs) == 1 else list(inputs), training=False)

    return tf.function(call).get_concrete_function(*specs), model
"""
_PB = '''

def frozen(path: str) -> Any:
    """Return the frozen GraphDef in the file."""
    graph_def = tf.compat.v1.GraphDef()
    with open(path, "rb") as file:
        graph_def.ParseFromString(file.read())
{state}    return shaped(graph_def)
'''


@dataclass(frozen=True)
class Source:
    """What the script reads: kind is "saved_model", "keras" or "pb"; code: the Keras file may hold Python code;
    state: it assigns variables, which become inputs; given: the variables of a frozen graph that do; modules: of the user's
    own, which define layers and conversions; refused: coremltools does not take the Keras model as it is;
    defaults: inputs of a frozen graph that are constants of their defaults.
    """

    path: str
    kind: str
    signature: str | None = None
    code: bool = False
    state: bool = False
    given: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    refused: bool = False
    defaults: tuple[str, ...] = ()


def reading_code(source: Source) -> str:
    """Return the functions that read the model and freeze it."""
    defaults = f"    graph_def = with_defaults(graph_def, {Escaped(source.defaults)!r})\n" if source.defaults else ""
    if source.kind == "pb":
        state = f"    graph_def = with_state(graph_def, {Escaped(source.given)!r})\n" if source.given else ""
        return _PB.format(state=defaults + state)
    made = "stateless(function)[0]" if source.state else "freeze(function)"
    if source.kind == "saved_model":
        text = _SAVED_MODEL.format(signature=ascii(source.signature))
    else:
        custom = f", custom_objects=known({', '.join(source.modules)})" if source.modules else ""
        text = (_KNOWN if source.modules else "") + _KERAS.format(
            safe=", safe_mode=False" if source.code else "",
            custom=custom,
            traced=_BY_CALLING if source.refused else _BY_COREMLTOOLS,
        )
    return text + _FREEZING.format(frozen=made, defaults=defaults)


class Escaped(list[str]):
    """Names that are written down as escaped literals."""

    def __repr__(self) -> str:
        return f"[{', '.join(ascii(name) for name in self)}]"
