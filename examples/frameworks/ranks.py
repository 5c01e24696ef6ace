"""A distributed training program, for torchrun: each rank writes a checkpoint after SIGTERM."""

import os
import signal
import time

import torch
from torch import distributed


def main() -> None:
    """Do steps until one of the ranks was asked to stop; all of them hear of it."""
    asked: list[bool] = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    distributed.init_process_group("gloo")
    rank = distributed.get_rank()
    step = 0
    is_over = torch.zeros(1)
    while not is_over:
        time.sleep(0.2)  # stands for a step that takes its time
        is_over[0] = float(bool(asked))
        distributed.all_reduce(is_over)
        step += 1
        if step == 1 and rank == 0:
            print("ready", flush=True)
    torch.save({"step": step}, os.devnull)
    print(f"rank {rank}: checkpoint written", flush=True)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
