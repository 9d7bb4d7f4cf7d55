"""peft_training.py JOB.json OUT.json: trains a PEFT adapter in one process on the batches that JOB.json holds.

The referee of split training: plain Transformers + PEFT + torch.optim.AdamW on the union of the clients' batches.
JOB.json: {"model": dir, "adapter": dir, "dtype": "float32", "learning_rates": [per step], "max_grad_norm": x,
"optimizer": {"betas": [b1, b2], "eps": e, "weight_decay": w},
"steps": [[{"ids": [...], "labels": [...], "weight": w}, ...one per sequence], ...]}
OUT.json: {"losses": [per step]}
"""

import json
import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM


def token_losses(model, sequence):
    """Sum of -log p over the unmasked labels of one sequence, and their number; labels are aligned with the inputs."""
    ids = torch.tensor([sequence["ids"]])
    labels = torch.tensor(sequence["labels"])
    logits = model(input_ids=ids).logits[0].float()
    total = torch.nn.functional.cross_entropy(logits, labels, ignore_index=-100, reduction="sum")
    return total, int((labels != -100).sum())


def main():
    job = json.load(open(sys.argv[1]))
    torch.manual_seed(0)
    torch.set_num_threads(1)
    base = AutoModelForCausalLM.from_pretrained(job["model"], dtype=getattr(torch, job["dtype"]), attn_implementation="eager")
    for module in base.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # splitft trains without the base model's dropout
    model = PeftModel.from_pretrained(base, job["adapter"], is_trainable=True)
    model.train()
    trainable = [p for p in model.parameters() if p.requires_grad]
    options = job["optimizer"]
    optimizer = torch.optim.AdamW(trainable, lr=1.0, betas=options["betas"], eps=options["eps"], weight_decay=options["weight_decay"])
    losses = []
    for rate, step in zip(job["learning_rates"], job["steps"]):
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        denominator = sum(s["weight"] * sum(label != -100 for label in s["labels"]) for s in step)
        loss = 0.0
        for sequence in step:
            total, _ = token_losses(model, sequence)
            (sequence["weight"] * total / denominator).backward()
            loss += sequence["weight"] * total.item() / denominator
        if job["max_grad_norm"] > 0:
            torch.nn.utils.clip_grad_norm_(trainable, job["max_grad_norm"])
        optimizer.step()
        losses.append(loss)
    json.dump({"losses": losses}, open(sys.argv[2], "w"))


if __name__ == "__main__":
    main()
