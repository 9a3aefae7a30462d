"""What is said of a Keras file that cannot be read or called."""

from __future__ import annotations

from pathlib import Path

from bisect_convert.model.files import damage
from bisect_convert.worker.read.keras_errors import lost_names, root, unread


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except Exception as caught:
        return caught


def test_a_class_that_is_missing_is_named_with_its_layer() -> None:
    config = "config={'class_name': 'Gate', 'config': {'name': 'my_gate'}}"
    error = raised(TypeError("could not be deserialized"), TypeError(f"Could not locate class 'Gate'. {config}"))
    said = str(unread("net.keras", error))
    assert "the layer 'my_gate' of the class Gate, whose code is not in the file" in said
    policy = "{'module': 'keras', 'class_name': 'DTypePolicy', 'config': {'name': 'float32'}, 'registered_name': None}"
    config = f"config={{'class_name': 'Gate', 'config': {{'dtype': {policy}}}, 'name': 'my_gate'}}"
    error = raised(TypeError("could not be deserialized"), TypeError(f"Could not locate class 'Gate'. {config}"))
    assert "the layer 'my_gate' of the class Gate" in str(unread("net.keras", error))
    assert "a layer of the class Gate" in str(unread("net.h5", ValueError("Unknown layer: 'Gate'. Please ensure")))


def test_what_was_raised_first_is_shown_whole_words_and_without_colours() -> None:
    wrapped = raised(
        RuntimeError("Exception encountered when calling Lambda.call()."), NameError("\x1b[1mname 'x'\x1b[0m")
    )
    assert root(wrapped) == "NameError: name 'x'"
    assert root(ValueError("word " * 200)).endswith("word ...")


_AUTOGRAPH = """in user code:

    File "/keras/src/utils/traceback_utils.py", line 122, in error_handler  **
        raise e.with_traceback(filtered_tb) from None
    File "/home/me/net.py", line 20, in <lambda>
        return scale(x)

    NameError: Exception encountered when calling Lambda.call().

    \x1b[1mname 'scale' is not defined\x1b[0m

    Arguments received by Lambda.call():
      • inputs=tf.Tensor(shape=(None, 8), dtype=float32)
"""


def test_what_autograph_writes_into_a_message_is_no_message() -> None:
    error = NameError(_AUTOGRAPH)
    assert root(error) == "NameError: name 'scale' is not defined (in a layer of the class Lambda, net.py:20)"
    assert lost_names(error) and not lost_names(NameError("name 'scale' is not defined"))


def test_a_function_that_is_missing_is_named_with_its_layer() -> None:
    inner = TypeError("Could not locate function 'swoosh'. Make sure it is registered. Full object config: {}")
    outer = TypeError("Error when deserializing class 'Dense' using config={'name': 'body', 'units': 8}.")
    said = str(unread("net.h5", raised(outer, inner)))
    assert "in the layer 'body' of the class Dense the function swoosh, whose code is not in the file" in said
    assert "--import MODULE" in said and len(said) < 400


def test_brackets_in_a_folders_name_are_what_tensorflow_stumbles_over(tmp_path: Path) -> None:
    folder = tmp_path / "model v2 [neu]"
    (folder / "variables").mkdir(parents=True)
    said = damage(str(folder), "Failed to find any matching files for .../variables/variables")
    assert "rename the folder" in said
