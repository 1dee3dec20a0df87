"""Photos to classes: what `--model` names, what computes it, and its export to other programs."""
