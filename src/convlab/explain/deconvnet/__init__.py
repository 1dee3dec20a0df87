"""Looking inside a convolutional network: convolution and pooling, and the way back through them."""
