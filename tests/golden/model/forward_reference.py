"""forward_reference.py OUT: small random models of every family with random adapters on all linear modules, and what Transformers and PEFT
make of a ragged batch: logits, loss and the gradient of every adapter. One folder per case:

  model/ model_bf16/     the base model in fp32 and rounded to bf16
  adapter/               the adapter, whose numbers bf16 holds exactly
  expected/              ids, labels, and logits and losses of each run: fp32; truth (fp32 arithmetic on bf16 weights); bf16
  grads_fp32/ grads_truth/ grads_bf16/   the gradients of the summed loss, written as if they were adapters
"""

import pathlib
import shutil
import sys

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import (GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM,
                          Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM)

VOCABULARY = 97
LENGTHS = [13, 13, 150, 7, 7, 7]  # one longer than a block of queries
LLAMA = dict(vocab_size=VOCABULARY, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=6,
             num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.06, attn_implementation="eager")
LLAMA_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ROPE3 = dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
             original_max_position_embeddings=64)


def gpt2():
    config = GPT2Config(vocab_size=VOCABULARY, n_positions=256, n_embd=48, n_layer=3, n_head=4, attn_pdrop=0, embd_pdrop=0,
                        resid_pdrop=0, initializer_range=0.06, attn_implementation="eager", bos_token_id=0, eos_token_id=0)
    return GPT2LMHeadModel(config)


CASES = {
    "gpt2": (gpt2, ["c_attn", "c_proj", "c_fc"]),
    "gpt2_c_attn": (gpt2, ["c_attn"]),
    "llama2": (lambda: LlamaForCausalLM(LlamaConfig(**(LLAMA | dict(num_key_value_heads=6)), tie_word_embeddings=False)), LLAMA_TARGETS),
    "llama3": (lambda: LlamaForCausalLM(LlamaConfig(**LLAMA, tie_word_embeddings=True, rope_parameters=ROPE3)), LLAMA_TARGETS),
    "mistral": (lambda: MistralForCausalLM(MistralConfig(**LLAMA, sliding_window=11, tie_word_embeddings=False)), LLAMA_TARGETS),
    "qwen2": (lambda: Qwen2ForCausalLM(Qwen2Config(**LLAMA, tie_word_embeddings=True)), LLAMA_TARGETS),
    "qwen3": (lambda: Qwen3ForCausalLM(Qwen3Config(**LLAMA, head_dim=16, tie_word_embeddings=True)), LLAMA_TARGETS),
    "qwen3_qv": (lambda: Qwen3ForCausalLM(Qwen3Config(**LLAMA, head_dim=16, tie_word_embeddings=True)), ["q_proj", "v_proj"]),
}


def randomize(model, seed):
    """Norms and biases count too: Transformers starts them at 1 and 0."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(model.named_parameters()):
        if parameter.dim() == 1:
            parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)


def adapted(directory, dtype, targets, numbers):
    model = getattr(sys.modules["transformers"], numbers["class"]).from_pretrained(directory, dtype=dtype, attn_implementation="eager")
    config = LoraConfig(r=4, lora_alpha=12, target_modules=targets, task_type="CAUSAL_LM", lora_dropout=0.0,
                        fan_in_fan_out=numbers["class"].startswith("GPT2"))
    model = get_peft_model(model, config)
    generator = torch.Generator().manual_seed(11)
    for name, parameter in sorted(model.named_parameters()):
        if parameter.requires_grad:
            parameter.data = (0.1 * torch.randn(parameter.shape, generator=generator)).bfloat16().to(parameter.dtype)
    return model


def run(model, ids, labels):
    """The ragged batch, sequence by sequence. Returns logits and the summed loss; leaves gradients in the model."""
    logits, losses, first = [], [], 0
    for length in LENGTHS:
        rows = slice(first, first + length)
        out = model(input_ids=ids[None, rows]).logits[0].float()
        loss = torch.nn.functional.cross_entropy(out, labels[rows], reduction="sum", ignore_index=-100)
        loss.backward()
        logits.append(out.detach())
        losses.append(loss.detach())
        first += length
    return torch.cat(logits), torch.stack(losses).sum().reshape(1)


def save_gradients(model, directory):
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.grad.float()
    model.save_pretrained(directory)


def write_case(name, out):
    build, targets = CASES[name]
    torch.manual_seed(3)
    base = build()
    randomize(base, 5)
    base.save_pretrained(out / "model")
    base.bfloat16().save_pretrained(out / "model_bf16")
    numbers = {"class": type(base).__name__}
    tokens = sum(LENGTHS)
    ids = torch.randint(0, VOCABULARY, (tokens,))
    labels = torch.randint(0, VOCABULARY, (tokens,))
    labels[torch.rand(tokens) < 0.3] = -100
    expected = {"ids": ids.float(), "labels": labels.float()}
    for kind, folder, dtype in (("fp32", "model", torch.float32), ("truth", "model_bf16", torch.float32), ("bf16", "model_bf16", torch.bfloat16)):
        model = adapted(out / folder, dtype, targets, numbers)
        if kind == "fp32":
            model.save_pretrained(out / "adapter")
        expected[f"logits_{kind}"], expected[f"loss_{kind}"] = run(model, ids, labels)
        save_gradients(model, out / f"grads_{kind}")
    (out / "expected").mkdir(exist_ok=True)
    save_file({key: value.contiguous() for key, value in expected.items()}, out / "expected" / "model.safetensors")
    shutil.copy(out / "model" / "config.json", out / "expected" / "config.json")


def main():
    torch.set_num_threads(2)
    for name in CASES:
        write_case(name, pathlib.Path(sys.argv[1]) / name)


if __name__ == "__main__":
    main()
