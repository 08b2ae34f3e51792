"""Who takes part. Each contender turns a workload into a step: a function of a batch that trains once.

A family a file; nothing of a library is imported before one of its contenders is asked for a step.
"""
from __future__ import annotations

from functools import partial

from . import chainrule, flat, jax, numpy, torch
from .contender import Contender, Made

__all__ = ["CONTENDERS", "Contender", "Made"]

OURS, JAX, TORCH = ("chainrule", "chainrule.nn", "chainrule.optim"), ("jax", "jax.numpy"), ("torch",)

#: By name. The first that starts is the reference for the losses.
CONTENDERS = {c.name: c for c in (
    Contender("torch", torch.eager, "torch", TORCH),
    Contender("torch, one thread", partial(torch.eager, threads=1), "torch", TORCH, one_thread=True, quick=False),
    Contender("torch, fused", partial(torch.eager, fused=True), "torch", TORCH),
    Contender("torch, fused, one thread", partial(torch.eager, threads=1, fused=True), "torch", TORCH, one_thread=True),
    Contender("torch.compile", torch.compiled, "torch.compile", TORCH, cache="TORCHINDUCTOR_CACHE_DIR",
              quick=False),
    Contender("jax.jit", jax.jit, "jax", JAX),
    Contender("jax.jit, one thread", jax.jit, "jax", JAX, one_thread=True),
    Contender("chainrule", chainrule.eager, "chainrule", OURS),
    Contender("chainrule, one thread", chainrule.eager, "chainrule", OURS, one_thread=True),
    Contender("chainrule compiled", chainrule.compiled, "chainrule compiled", OURS),
    Contender("chainrule compiled, one thread", chainrule.compiled, "chainrule compiled", OURS, one_thread=True),
    Contender("flat NumPy plan", flat.plan, "flat plan"),
    Contender("flat NumPy plan, one thread", flat.plan, "flat plan", one_thread=True),
    Contender("NumPy by hand", numpy.plain, "numpy"),
    Contender("NumPy by hand, one thread", numpy.plain, "numpy", one_thread=True),
)}
