"""Networks as plain `nn.Module`s: inputs `n c h w` (or `n d`) in, logits `n num_classes` out."""
