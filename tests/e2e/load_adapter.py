"""Loads an adapter as a user of PEFT does, and fails unless it changes what the model says.

usage: load_adapter.py BASE ADAPTER
"""

import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

base, adapter = sys.argv[1:]
tokens = torch.arange(16).unsqueeze(0)
model = AutoModelForCausalLM.from_pretrained(base)
before = model(tokens).logits
model = PeftModel.from_pretrained(model, adapter)
after = model(tokens).logits
if not torch.isfinite(after).all() or torch.equal(before, after):
    sys.exit("load_adapter: the adapter changes nothing, or breaks the model")
