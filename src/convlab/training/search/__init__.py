"""A search over settings: Optuna proposes, each trial is a training, hopeless ones are stopped early."""
