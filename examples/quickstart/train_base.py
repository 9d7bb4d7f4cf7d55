"""Trains the quickstart's base model: a small Llama, from nothing, on one CPU core.

    train_base.py --data FOLDER --out base [--steps 1600]

FOLDER holds wikitext-2/{valid,test}.txt and tinyshakespeare/input.txt (see data/LICENCES.md). The model and its
tokenizer see general English only: WikiText-2's validation articles, and speeches of plays that no client holds, as
prose without the speakers. None of the clients' text is among it. WikiText-2's test articles only measure.

Needs torch, transformers and tokenizers. About 15 minutes on one core; the result is committed, so nobody has to wait.
"""

import argparse
import json
import math
import re
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

END = "<|endoftext|>"
VOCABULARY = 3072
WINDOW = 160
BATCH = 6
LEARNING_RATE = 3e-3
SHAPE = dict(
    hidden_size=192,
    intermediate_size=512,
    num_hidden_layers=6,
    num_attention_heads=6,
    num_key_value_heads=2,
    max_position_embeddings=512,
    rms_norm_eps=1e-5,
    tie_word_embeddings=True,
)


def wikipedia(text: str) -> list[str]:
    """WikiText-2's articles without its tokenization marks; the words it hides as <unk> are left out."""
    articles, paragraphs = [], []
    for line in (line.strip() for line in text.split("\n")):
        if re.fullmatch(r"= [^=].* =", line):  # an article's title; sections have more signs
            articles.append(paragraphs)
            paragraphs = []
        elif line and not line.startswith("="):
            paragraphs.append(plain(line))
    return ["\n".join(paragraphs) for paragraphs in articles + [paragraphs] if paragraphs]


def plain(line: str) -> str:
    """One line of WikiText as people write it: "1 @,@ 000 km ( 620 mi )" becomes "1,000 km (620 mi)"."""
    sentences = re.split(r"(?<= [.?!]) ", line)
    line = " ".join(sentence for sentence in sentences if sentence.count("<unk>") <= 1)
    for pattern, replacement in [
        (r" @(.)@ ", r"\1"),
        (r" ?<unk>", ""),
        (r" ([.,;:?!%)\]])", r"\1"),
        (r"([(\[$£]) ", r"\1"),
        (r" (n't|'s|'re|'ve|'ll|'d|'m)\b", r"\1"),
        (r'" ([^"]*?) "', r'"\1"'),
        (r"(\w) '( |$)", r"\1'\2"),
        (r"\(\)|\( ?[,;]+ ?", ""),
        (r"  +", " "),
    ]:
        line = re.sub(pattern, replacement, line)
    return line.strip()


def speeches(text: str) -> list[str]:
    """The speeches of plays that are not the theatre's (data/make_data.py), as prose without the speakers."""
    prose = [" ".join(speech.split("\n")[1:]) for speech in text.split("\n\n")]
    return ["\n".join(prose[i : i + 20]) for i in range(0, len(prose), 20)]


def train_tokenizer(documents: list[str]) -> Tokenizer:
    """A byte-level BPE, as GPT-2's and Llama 3's, so that any text can be written in it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    return tokenizer


def encode(tokenizer: Tokenizer, documents: list[str]) -> torch.Tensor:
    """All documents one after another, each closed by the end-of-text token."""
    return torch.tensor([i for document in documents for i in tokenizer.encode(document + END).ids])


@torch.no_grad()
def held_out_loss(model: LlamaForCausalLM, ids: torch.Tensor) -> float:
    """Mean loss per token over `ids`, in windows."""
    model.eval()
    windows = ids[: len(ids) // WINDOW * WINDOW].view(-1, WINDOW)
    losses = [model(input_ids=w, labels=w).loss.item() for w in windows.split(BATCH)]
    model.train()
    return sum(losses) / len(losses)


def train(model: LlamaForCausalLM, ids: torch.Tensor, held_out: torch.Tensor, steps: int) -> None:
    """AdamW with warm-up and cosine decay over random windows of `ids`."""
    generator = torch.Generator().manual_seed(1)
    matrices = [p for p in model.parameters() if p.ndim == 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [dict(params=matrices, weight_decay=0.1), dict(params=vectors, weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.95), fused=True)
    warm_up = steps // 30
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda t: min((t + 1) / warm_up, 0.05 + 0.475 * (1 + math.cos(math.pi * t / steps))),
    )
    start = time.perf_counter()
    model.train()
    for step in range(1, steps + 1):
        at = torch.randint(0, len(ids) - WINDOW, (BATCH,), generator=generator)
        batch = ids[at[:, None] + torch.arange(WINDOW)]
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(input_ids=batch, labels=batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps:
            test = f"{held_out_loss(model, held_out):.3f}" if step % 500 == 0 or step == steps else ""
            print(f"step {step}  loss {loss.item():.3f}  {time.perf_counter() - start:.0f} s  {test}", flush=True)


def save(model: LlamaForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """A Hugging Face model directory, in bfloat16 to stay small."""
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = dict(tokenizer_class="PreTrainedTokenizerFast", eos_token=END, model_max_length=512)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1600)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)

    plays = (arguments.data / "tinyshakespeare/input.txt").read_text()
    documents = wikipedia((arguments.data / "wikitext-2/valid.txt").read_text())
    documents += speeches(plays[700_000:])
    tokenizer = train_tokenizer(documents)
    ids = encode(tokenizer, documents)
    held_out = encode(tokenizer, wikipedia((arguments.data / "wikitext-2/test.txt").read_text()))[:16_000]

    end = tokenizer.token_to_id(END)
    config = LlamaConfig(
        **SHAPE,
        vocab_size=tokenizer.get_vocab_size(),
        bos_token_id=None,
        eos_token_id=end,
        attention_dropout=0.1,
    )
    model = LlamaForCausalLM(config)
    model.set_attn_implementation("eager")
    print(f"{model.num_parameters()} parameters, {len(ids)} tokens", flush=True)
    train(model, ids, held_out, arguments.steps)
    model.config.attention_dropout = 0.0
    save(model, tokenizer, arguments.out)


if __name__ == "__main__":
    main()
