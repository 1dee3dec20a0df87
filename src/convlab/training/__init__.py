"""One training run or many: the classifier, its callbacks and evaluation, sweeps, folds, searches."""
