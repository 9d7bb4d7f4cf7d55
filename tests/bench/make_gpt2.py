"""Writes a model of GPT-2 small's shape with random weights, and text of random tokens for it, for the benchmarks.

    make_gpt2.py OUT [--tiny] [--clients 4]

OUT gets model/ (a Hugging Face directory) and client0.txt, client1.txt and so on. The tokenizer has one word per token,
so that the text is random over the whole vocabulary and a sequence has exactly the length asked for. --tiny: four
blocks of width 64.
"""

import argparse
import json
import random
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel

SEQUENCES = 24
LONGEST = 512


def make_model(folder: Path, tiny: bool) -> int:
    """Random weights in float32 (the job says what is computed in); returns the size of the vocabulary."""
    torch.manual_seed(0)
    shape = dict(n_embd=64, n_layer=4, n_head=2, vocab_size=1024) if tiny else {}
    config = GPT2Config(attn_pdrop=0, embd_pdrop=0, resid_pdrop=0, bos_token_id=None, eos_token_id=None, **shape)
    GPT2LMHeadModel(config).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    return config.vocab_size


def make_tokenizer(folder: Path, vocabulary: int) -> None:
    """The word w17 is token 17."""
    tokenizer = Tokenizer(models.WordLevel({f"w{i}": i for i in range(vocabulary)}, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = dict(tokenizer_class="PreTrainedTokenizerFast", model_max_length=1024)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--clients", type=int, default=4)
    arguments = parser.parse_args()

    folder = arguments.out / "model"
    vocabulary = make_model(folder, arguments.tiny)
    make_tokenizer(folder, vocabulary)
    for client in range(arguments.clients):
        draw = random.Random(client)
        words = [f"w{draw.randrange(vocabulary)}" for _ in range(SEQUENCES * LONGEST)]
        (arguments.out / f"client{client}.txt").write_text(" ".join(words))


if __name__ == "__main__":
    main()
