"""A training program with a DataLoader of PyTorch: `loader.py [handler]`.

With `handler` it finishes the step in hand when SIGTERM comes, and writes a checkpoint.
"""

import os
import signal
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset

STEPS = 1000
WORKERS = 2
SIZE = 8


class Samples(Dataset):
    """Samples that a worker needs a moment to make."""

    def __len__(self) -> int:
        """Return how many samples there are."""
        return STEPS * SIZE

    def __getitem__(self, index: int) -> torch.Tensor:
        """Return a sample."""
        time.sleep(0.01)
        return torch.full((SIZE,), float(index))


def main() -> None:
    """Train; after SIGTERM finish the step, and write a checkpoint."""
    asked: list[bool] = []
    if "handler" in sys.argv:
        signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    torch.set_num_threads(1)
    model = torch.nn.Linear(SIZE, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-9)
    for step, batch in enumerate(DataLoader(Samples(), batch_size=SIZE, num_workers=WORKERS)):
        if step == WORKERS:
            print("ready", flush=True)
        time.sleep(0.2)  # stands for a step that takes its time
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        optimizer.step()
        if asked:
            torch.save(model.state_dict(), os.devnull)
            print("checkpoint written", flush=True)
            return


if __name__ == "__main__":
    main()
