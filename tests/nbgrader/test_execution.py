"""The execution alone: its bounds, and what it leaves in the notebook."""

import pytest
from nbclient.exceptions import DeadKernelError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from powers import DIE

from course_lib.grading.execution import ExecuteEveryCell


def execute(*sources, tags=(), **options):
    """Execute cells, all with the same tags; what each of them gave, as a list of its outputs."""
    cells = [new_code_cell(source, metadata={"tags": list(tags)}) for source in sources]
    notebook = new_notebook(cells=[new_markdown_cell("title"), *cells])
    notebook.metadata.kernelspec = {"name": "python3"}
    quiet = ["--IPKernelApp.log_level=ERROR"]
    ExecuteEveryCell(extra_arguments=quiet, **options).preprocess(notebook, {})
    return [cell.outputs for cell in notebook.cells[1:]]


def errors(outputs):
    return [output.get("ename") for output in outputs]


def test_without_a_kernel_left_the_rest_is_not_executed():
    first, second, third = execute(DIE, DIE, "1", max_kernels=2)
    assert errors(first) == errors(second) == ["DeadKernelError"]
    assert errors(third) == ["NotExecuted"]


def test_the_rest_is_executed_again():
    outputs = execute("n = 1", f"n += 1\n{DIE}", "n += 1", "n")
    assert outputs[-1][0].data["text/plain"] == "2"  # of the last kernel, without the second cell


def test_no_tag_saves_a_cell_from_being_executed():
    (outputs,) = execute("1 / 0", tags=["skip-execution"])
    assert errors(outputs) == ["ZeroDivisionError"]


def test_a_cell_writes_only_so_much():
    (outputs,) = execute("for _ in range(5):\n    print('x' * 400, flush=True)\n7", max_output=1000)
    *written, result = outputs
    text = "".join(output.text for output in written)
    assert 400 < text.count("x") < 1000
    assert text.partition("\n...")[2] == " more was written than is kept\n"
    assert result.data["text/plain"] == "7"


def test_an_error_after_too_much_output_is_kept():
    (outputs,) = execute("print('x' * 400, flush=True)\n1 / 0", max_output=100)
    assert "ZeroDivisionError" in errors(outputs)


def test_only_the_value_of_a_cell_that_ended_well_is_its_result():
    shown = "get_ipython().displayhook(3.0)"
    (twice, failed) = execute(f"{shown}\n1.0", f"{shown}\n1 / 0")
    assert [output.data["text/plain"] for output in twice] == ["1.0"]
    assert errors(failed) == ["ZeroDivisionError"]


def test_a_kernel_that_does_not_start_is_no_ones_fault(monkeypatch):
    def die(*_, **__):
        raise DeadKernelError("no kernel")

    monkeypatch.setattr(ExecuteEveryCell, "start_new_kernel", die)
    with pytest.raises(DeadKernelError, match="no kernel"):
        execute("1")
