"""The yardstick: the benchmarks' job as a user of Transformers and PEFT would run it, in one process.

    hf_peft.py MODEL TEXT --dtype float32|bfloat16 --length T --steps N [--batch 4] [--threads 2]

LoRA of rank 8 on c_attn, AdamW, gradients clipped to norm 1. Prints one line of JSON: tokens per second of the median
step (warm-up left out), the losses, and the process's peak resident memory.
"""

import argparse
import json
import resource
import statistics
import time
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

WARM_UP = 2


def load(folder: Path, dtype: torch.dtype) -> torch.nn.Module:
    """Base model and fresh adapters."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    lora = LoraConfig(r=8, lora_alpha=16, target_modules=["c_attn"], task_type="CAUSAL_LM", fan_in_fan_out=True)
    return get_peft_model(model, lora).train()


def batches(model: Path, text: Path, length: int, batch: int):
    """The text's sequences, in order and from the start again, for ever."""
    ids = torch.tensor(Tokenizer.from_file(str(model / "tokenizer.json")).encode(text.read_text()).ids)
    rows = ids[: len(ids) // length * length].view(-1, length)
    at = 0
    while True:
        yield rows[(torch.arange(batch) + at) % len(rows)]
        at += batch


def train(model: torch.nn.Module, source, steps: int) -> tuple[list[float], list[float]]:
    """Runs the steps; returns each one's seconds and loss."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=1e-4, weight_decay=0.0)
    seconds, losses = [], []
    for _ in range(steps):
        start = time.perf_counter()
        ids = next(source)
        optimizer.zero_grad()
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trainable, 1.0)
        optimizer.step()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - start)
    return seconds, losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], required=True)
    parser.add_argument("--length", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(arguments.threads)
    model = load(arguments.model, getattr(torch, arguments.dtype))
    source = batches(arguments.model, arguments.text, arguments.length, arguments.batch)
    seconds, losses = train(model, source, arguments.steps + WARM_UP)
    median = statistics.median(seconds[WARM_UP:])
    result = dict(
        tokens_per_second=arguments.batch * arguments.length / median,
        losses=losses,
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
