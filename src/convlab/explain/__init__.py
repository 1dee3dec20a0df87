"""What a network saw: the deconvolutional network, attribution, occlusion, and pictures of them."""
