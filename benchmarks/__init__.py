"""How long chainrule takes, beside PyTorch, JAX and NumPy by hand, on one machine at one time.

``python -m benchmarks`` times training steps, ``python -m benchmarks gates`` single gates, ``python -m benchmarks
import`` the import of the package, and ``python -m benchmarks mnist`` whole trainings.
"""
