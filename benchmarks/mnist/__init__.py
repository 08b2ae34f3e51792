"""MNIST from arrays in memory to an accuracy on the test data: three epochs, batches of 100, as a user trains it.

Both libraries begin with the images as they are published, a byte a pixel, and with the same first weights; both
evaluate the 10,000 test images after each epoch. What one of them does to make batches of floats is part of its time.
"""
