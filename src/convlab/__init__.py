"""convlab: the reproducible path from images to a compared, understood convolutional classifier."""

from convlab.base import torchvision_operators

__version__ = "0.2.0"

torchvision_operators.declare_when_imported()
