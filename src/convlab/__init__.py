"""convlab: the reproducible path from images to a compared, understood convolutional classifier."""

from convlab.base import signal_later, torchvision_operators

__version__ = "0.2.0"

signal_later.stand_in()
torchvision_operators.declare_when_imported()
