"""Proposals of selective search, computed once and kept on the disk."""

from pathlib import Path

import numpy as np
from torch.utils.data import DataLoader, Dataset

from course_lib.detection import selective_search
from course_lib.training.progress import open_bar

__all__ = ["Proposals"]


class Proposals(Dataset):
    """The boxes of each photograph of a split, a file each; element i computes that of i.

    Parameters
    ----------
    photographs : VOC
    folder : str or Path
        Where the files are; one below for each year, split and limit.
    limit : int
        The most boxes of a photograph.
    count : int, optional
        How many photographs, from the first on; by default all.
    """

    def __init__(self, photographs, folder, limit, count=None):
        part = f"selective-search-{photographs.year}-{photographs.split}-{limit}"
        self.photographs, self.folder, self.limit = photographs, Path(folder) / part, limit
        self.count = len(photographs) if count is None else min(count, len(photographs))

    def path(self, index):
        """Return the file of a photograph."""
        return self.folder / f"{self.photographs.names[index]}.npy"

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        image, _ = self.photographs[index]
        boxes = selective_search(image, limit=self.limit)
        part = self.path(index).with_suffix(".part")  # whoever reads finds a whole file or none
        with part.open("wb") as file:
            np.save(file, np.asarray(boxes, np.float32))
        part.replace(self.path(index))
        return len(boxes)

    def complete(self, ranks, workers=0):
        """Compute what is missing, each process its share, in `workers` processes each.

        Returns
        -------
        int
            How many files this process wrote.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        missing = [index for index in ranks.mine(len(self)) if not self.path(index).exists()]
        loader = DataLoader(self, sampler=missing, batch_size=None, num_workers=workers)
        with open_bar(len(missing), None if ranks.first else False) as bar:
            bar.set_description("selective search", refresh=False)
            for _ in loader if missing else ():
                bar.update()
        ranks.wait()
        return len(missing)

    def load(self, index):
        """Return the boxes of a photograph, float32, shape (R, 4).

        Raises
        ------
        ValueError
            If the file holds something else; the message names it.
        """
        try:
            boxes = np.load(self.path(index))
        except (EOFError, ValueError) as error:
            raise ValueError(
                f"voc: {self.path(index)} holds no boxes: {error}; delete it"
            ) from error
        return boxes
