"""What a submission may use."""

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """What the run of one submission may use; every limit is enforced from outside its code.

    Parameters
    ----------
    total_seconds : float
        For all cells together, repetitions after a cell that ended its process included.
    memory_mb, disk_mb : int
        Memory beyond what the libraries take; files below ``/scratch``, ``/tmp`` and ``/dev/shm``.
    processes : int
        Processes and threads at a time.
    cpu_seconds : int
        Of one process.
    output_bytes : int
        That all cells may write and show together.
    deaths : int
        Cells that may end their process before the rest is not run any more.
    """

    total_seconds: float = 600
    memory_mb: int = 2048
    disk_mb: int = 64
    processes: int = 64
    cpu_seconds: int = 600
    output_bytes: int = 16 << 20
    deaths: int = 8
