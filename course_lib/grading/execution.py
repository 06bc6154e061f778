"""Run a submission to its end, whatever one of its cells does to the kernel."""

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat.v4 import new_output
from nbgrader.preprocessors import Execute
from traitlets import Integer, default

__all__ = ["ExecuteEveryCell"]


class ExecuteEveryCell(Execute):
    """Execute each cell, and keep what a cell does to the kernel from the others.

    A cell that ends the kernel (``os._exit``, ``exit()``, a segmentation fault), or that neither
    ends in time nor lets itself be interrupted, gets an error as its only output. The rest is
    executed again, in a fresh kernel and without that cell. Stock nbgrader gives up the whole
    submission.

    To nbgrader a graded cell without output is right. Therefore each cell has an error as its
    output until it is executed, and the tag that tells nbclient to skip a cell is removed.

    A warning is not a mistake: what a cell writes to stderr, which nbgrader scores 0, is kept as
    its stdout.
    """

    max_kernels = Integer(10, help="Kernels to start for one notebook before giving up.").tag(
        config=True
    )
    max_output = Integer(1_000_000, help="Characters of output to keep of one cell.").tag(
        config=True
    )

    @default("shutdown_kernel")
    def _shutdown_kernel_default(self):
        return "immediate"  # a kernel that ignores an interrupt ignores a polite request too

    @default("error_on_timeout")
    def _error_on_timeout_default(self):
        return _error("CellTimeoutError", f"ran for more than {self.timeout} s and was stopped")

    def preprocess(self, nb, resources, km=None):
        """Execute all cells of `nb`, in place, with as many kernels as that needs."""
        cells = [cell for cell in nb.cells if cell.cell_type == "code" and cell.source.strip()]
        for cell in cells:
            cell.metadata.pop("tags", None)
            not_run = _error("NotExecuted", "the cells before this one ended every kernel")
            cell.outputs = [new_output("error", **not_run)]
        self.deadly = set()
        for _ in range(self.max_kernels):
            self._running = None
            try:
                nb, resources = super().preprocess(nb, resources, km)
            except (DeadKernelError, CellTimeoutError) as failure:
                if self._running is None:
                    raise  # not a cell's fault
                self._give_up(nb.cells[self._running], failure)
            else:
                break
        for cell in cells:
            cell.outputs = _as_judged(cell.outputs)
        return nb, resources

    def preprocess_cell(self, cell, resources, index):
        """Execute one cell, unless it ended a kernel before."""
        if index in self.deadly:
            return cell, resources
        self._running, self._received = index, 0
        return super().preprocess_cell(cell, resources, index)

    def on_cell_executed(self, **kwargs):
        """Take a cell that asked the kernel to exit, which it does a moment later, as deadly."""
        super().on_cell_executed(**kwargs)
        payload = kwargs["execute_reply"]["content"].get("payload", [])
        if any(item.get("source") == "ask_exit" for item in payload):
            raise DeadKernelError("exit() was called")

    def output(self, outs, msg, display_id, cell_index):
        """Keep an output, but of what a cell writes and displays only the first `max_output`."""
        content = msg["content"]
        if msg["msg_type"] in ("stream", "display_data"):  # never a result or an error
            room = self.max_output - self._received
            if room <= 0:
                return None
            self._received += len(str(content))
            if self._received > self.max_output and "text" in content:
                content["text"] = content["text"][:room] + "\n... more was written than is kept\n"
        return super().output(outs, msg, display_id, cell_index)

    def _give_up(self, cell, failure):
        """Record that `cell` ended its kernel, and leave it out from now on."""
        self.log.warning("Cell %d ended its kernel (%s)", self._running, type(failure).__name__)
        timeout = isinstance(failure, CellTimeoutError)
        ended = _error("DeadKernelError", "ended the Python that ran it")
        cell.outputs = [new_output("error", **(self.error_on_timeout if timeout else ended))]
        cell.execution_count = None
        self.deadly.add(self._running)


def _error(name, message):
    """Fields of an output of type error."""
    return {"ename": name, "evalue": message, "traceback": [f"{name}: {message}"]}


def _as_judged(outputs):
    """Outputs that nbgrader can read a score off.

    It takes the first result for the score, even one that is followed by an error or that was
    displayed on the way: only the last one can be the value of the cell, and only if it ended well.
    """
    failed = any(output.output_type == "error" for output in outputs)
    results = [output for output in outputs if output.output_type == "execute_result"]
    refused = results if failed else results[:-1]
    kept = [output for output in outputs if not any(output is result for result in refused)]
    for output in kept:
        if output.output_type == "stream":
            output.name = "stdout"
    return kept
