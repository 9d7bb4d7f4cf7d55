"""make_models.py OUT: small random base models for the training goldens, one folder each, weights large enough to matter."""

import pathlib
import sys

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Qwen2Config, Qwen2ForCausalLM

VOCABULARY = 96


def randomize(model):
    """Weights that make every part count: norms and biases too, which Transformers starts at 1 and 0."""
    generator = torch.Generator().manual_seed(7)
    for name, parameter in sorted(model.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data = 1 + 0.1 * noise if "norm" in name or "ln_" in name else 0.15 * noise
    return model


def main():
    out = pathlib.Path(sys.argv[1])
    gpt2 = GPT2Config(vocab_size=VOCABULARY, n_positions=64, n_embd=32, n_layer=4, n_head=4, bos_token_id=0, eos_token_id=0)
    qwen = Qwen2Config(vocab_size=VOCABULARY, hidden_size=32, intermediate_size=80, num_hidden_layers=4, num_attention_heads=4,
                       num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=False)
    for name, model in (("gpt2", GPT2LMHeadModel(gpt2)), ("qwen2", Qwen2ForCausalLM(qwen))):
        randomize(model).save_pretrained(out / name)


if __name__ == "__main__":
    main()
