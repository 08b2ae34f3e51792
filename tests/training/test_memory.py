"""What training keeps in memory: one copy of the data, and nothing that grows with the steps."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from chainrule import data

linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read where Linux says it")

MEASURED = '''
import json, sys
def memory(what):
    """Bytes, of VmRSS (now) or VmHWM (the most so far)."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(what))
'''


def measure(program, *arguments):
    """Run a program in a process of its own; return what it prints."""
    path = os.pathsep.join(sys.path)
    done = subprocess.run([sys.executable, "-c", MEASURED + program, *map(str, arguments)], capture_output=True,
                          text=True, check=False, env=os.environ | {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# ---------------------------------------------------------------------- one copy of the data
MNIST = '''
import numpy as np
from chainrule import Trainer, data, nn, optim

def fit(train, test):
    model = nn.Sequential(nn.Linear(784, 50), nn.ReLU(), nn.Linear(50, 10))
    trainer = Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters()))
    trainer.fit(train, validation=test, epochs=1, batch_size=100, callbacks=())
    trainer.evaluate(train)

few = data.ArrayDataset(np.zeros((2000, 28, 28), np.uint8), np.arange(2000) % 10, transform=data.Pixels(255, (784,)))
fit(few, few)                                            # whatever the first step brings: threads, modules, buffers
before = memory("VmHWM")
train, test = data.mnist(sys.argv[1])
if sys.argv[2] == "copy":
    kept = train[:][0]                                   # all images as float32: what must not happen
fit(train, test)
arrays = sum(array.nbytes for array in train.arrays + test.arrays)
print(json.dumps([memory("VmHWM") - before, arrays]))
'''
MB = 10**6
FLOATS = 60_000 * 784 * 4            #: a copy of the training images as float32: 188 MB


@linux
@pytest.mark.slow
@pytest.mark.data
def test_training_on_mnist_holds_one_copy_of_the_data(data_dir):
    peak, arrays = measure(MNIST, data_dir, "as it is")
    assert 55 * MB < arrays < 56 * MB                    # 70,000 images at a byte a pixel, and their labels
    assert arrays <= peak < arrays + FLOATS / 10
    with_copy, _ = measure(MNIST, data_dir, "copy")
    assert with_copy > arrays + FLOATS                   # the measurement sees a copy


def test_batches_of_images_own_what_they_need_and_no_more():
    images = np.random.default_rng(0).integers(0, 256, (1000, 28, 28), dtype=np.uint8)
    part = data.ArrayDataset(images, np.arange(1000) % 10, transform=data.Pixels(255, (784,)))
    assert part.arrays[0].dtype == np.uint8
    assert np.shares_memory(part.arrays[0], images)
    for shuffle in (False, True):
        for x, y in data.DataLoader(part, 100, shuffle=shuffle):
            assert (x.dtype, x.shape, len(y)) == (np.float32, (100, 784), 100)
            owner = x
            while isinstance(owner.base, np.ndarray):
                owner = owner.base
            assert owner.base is None
            assert owner.nbytes == x.nbytes
            assert not np.shares_memory(x, images)
            assert np.shares_memory(y, part.arrays[1]) == (not shuffle)


# ---------------------------------------------------------------------- nothing that grows
STEPS = '''
import gc, tempfile
import numpy as np
from chainrule import Trainer, data, nn, optim
from chainrule.training import Callback, Checkpoints, EarlyStopping, KeepBest, metrics

class Sample(Callback):
    """Notes every 50 steps what the process holds, as `look` sees it."""
    def __init__(self, look, leak):
        self.look, self.leak, self.count, self.seen, self.kept = look, leak, 0, {}, []

    def step(self, loss):
        self.count += 1
        if self.leak:
            self.kept.append(np.ones(self.leak, np.uint8))
        if self.count % 50 == 0:
            self.seen[self.count] = self.look()

def run(look, epochs, leak=0):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2000, 32), np.float32)
    part, held_out = data.split(data.ArrayDataset(x, (x[:, :4].argmax(1))), 0.2)
    model = nn.Sequential(nn.Linear(32, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 4))
    trainer = Trainer(
        model, nn.CrossEntropyLoss(), optim.AdamW(model.parameters()), clip_norm=1.0, clip_value=0.5,
        metrics={"accuracy": metrics.Accuracy(), "f1": metrics.F1(average="macro")},
        average=optim.ExponentialMovingAverage(model.parameters(), 0.99),
        schedule=optim.schedule.one_cycle())
    sample = Sample(look, leak)
    with tempfile.TemporaryDirectory() as folder:
        trainer.fit(part, held_out, epochs=epochs, batch_size=16, checkpoints=Checkpoints(folder, every=500),
                    callbacks=[sample, KeepBest(), EarlyStopping(patience=1000)])
    assert sample.count == 100 * epochs
    return sample.seen
'''
RESIDENT = STEPS + '''
print(json.dumps(run(lambda: memory("VmRSS"), *map(int, sys.argv[1:]))))
'''
TRACED = STEPS + '''
import tracemalloc
def look():
    gc.collect()
    return tracemalloc.get_traced_memory()[0], len(gc.get_objects())
tracemalloc.start()
print(json.dumps(run(look, int(sys.argv[1]))))
'''


def growth(seen, first, last):
    """Return by how much the most of the 500 steps up to `last` lies above the most of those up to `first`."""
    seen = {int(step): value for step, value in seen.items()}
    return max(seen[step] for step in range(last - 450, last + 1, 50)) - max(
        seen[step] for step in range(first - 450, first + 1, 50))


@linux
@pytest.mark.slow
def test_resident_memory_is_flat_over_5000_steps():
    assert growth(measure(RESIDENT, 50), 1000, 5000) < MB
    assert growth(measure(RESIDENT, 20, 2000), 1000, 2000) > 1.5 * MB        # what is left behind would be seen


@linux
@pytest.mark.slow
def test_python_holds_no_more_objects_as_the_steps_go_on():
    seen = measure(TRACED, 15)                           # 1,500 steps, which are slow when each object is watched
    rows = 10                                            # of the history between: these are to be kept
    assert growth({step: size for step, (size, _) in seen.items()}, 500, 1500) < rows * 4000
    assert growth({step: count for step, (_, count) in seen.items()}, 500, 1500) < rows * 10
