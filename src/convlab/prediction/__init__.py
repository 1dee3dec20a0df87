"""From photos to classes: what `--model` names, what computes it, where photos come from, how it is shown."""
