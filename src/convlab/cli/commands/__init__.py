"""One verb per file: the stages of `dvc.yaml`, and the only code that reads the configuration."""
