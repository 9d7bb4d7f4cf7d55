"""Checkpoints and adapters as Transformers and PEFT write them, and a check that PEFT reads ours.

  peft_reference.py make OUT    a small random model of every family, in one file and in shards, fp32 and bf16; PEFT adapters on it;
                                OUT/cases.json says what is in them
  peft_reference.py check OUT   PEFT loads every adapter below OUT/written, and has the numbers, ranks and scales it should have

Adapters hold a pattern that both sides know: element i of the flat vector (block by block, module by module, A before B) is
pattern(i). So a name, an order or a shape that differs shows.
"""

import json
import pathlib
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from transformers.utils import logging
from transformers import (AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, GPT2Model, LlamaConfig, LlamaForCausalLM, MistralConfig,
                          MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM)

SMALL = dict(vocab_size=61, hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=32)
GPT2 = dict(vocab_size=61, n_positions=32, n_embd=24, n_layer=3, n_head=4, bos_token_id=0, eos_token_id=0)
LLAMA3 = dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=16)

MODELS = {
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(**GPT2)),
    "gpt2_bare": lambda: GPT2Model(GPT2Config(**GPT2, n_inner=56)),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SMALL, attention_bias=True, mlp_bias=True, rope_parameters=LLAMA3)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SMALL, sliding_window=7, head_dim=10)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SMALL, tie_word_embeddings=True, use_sliding_window=True, sliding_window=9,
                                                  max_window_layers=2)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SMALL, head_dim=16, rope_parameters=dict(rope_type="linear", factor=2.0,
                                                                                             rope_theta=1000.0))),
}

# Adapter -> model, and the part of LoraConfig that decides which modules it has.
ADAPTERS = {
    "gpt2_default": ("gpt2", dict(r=4, lora_alpha=8)),
    "gpt2_suffix": ("gpt2", dict(r=2, lora_alpha=3, target_modules=["c_proj"], rank_pattern={"mlp.c_proj": 5})),
    "gpt2_all": ("gpt2", dict(r=3, lora_alpha=6, target_modules="all-linear", alpha_pattern={"h.2.attn.c_attn": 1})),
    "gpt2_some_blocks": ("gpt2", dict(r=2, lora_alpha=2, target_modules=["transformer.h.0.attn.c_attn", "2.mlp.c_fc"])),
    "llama_patterns": ("llama", dict(r=8, lora_alpha=16, target_modules=["q_proj", "mlp.down_proj"],
                                     rank_pattern={"^model.layers.1.self_attn.q_proj": 3, "q_proj": 4, "layers.2.mlp.down_proj": 1},
                                     alpha_pattern={"down_proj": 2.5})),
    "mistral_default": ("mistral", dict(r=2, lora_alpha=4)),
    "qwen2_all": ("qwen2", dict(r=1, lora_alpha=1, target_modules="all-linear")),
    "qwen3_rank": ("qwen3", dict(r=4, lora_alpha=4, target_modules=["k_proj", "o_proj"], init_lora_weights="gaussian",
                                 rank_pattern={"layers.0.self_attn.o_proj": 2})),
}


def randomize(model):
    generator = torch.Generator().manual_seed(3)
    for _, parameter in sorted(model.named_parameters()):
        parameter.data = torch.randn(parameter.shape, generator=generator)
    return model


def pattern(begin, shape):
    index = torch.arange(begin, begin + shape.numel(), dtype=torch.int64)
    return ((index % 251 - 125).float() / 64).reshape(shape)


def adapter_layers(model):
    prefix = "base_model.model."
    return [(name.removeprefix(prefix), layer) for name, layer in model.named_modules() if isinstance(layer, LoraLayer)]


def expected_modules(model):
    return [dict(name=name, rank=layer.r["default"], scale=layer.scaling["default"]) for name, layer in adapter_layers(model)]


def numbers_of(model):
    """Every A and B in the flat vector's order, with where it begins."""
    begin = 0
    for name, layer in adapter_layers(model):
        for factor, weight in (("lora_A", layer.lora_A["default"].weight), ("lora_B", layer.lora_B["default"].weight)):
            yield f"{name}.{factor}", weight, begin
            begin += weight.numel()


def config_facts(model):
    config, text = model.config, {}
    text["hidden_size"] = config.hidden_size
    text["vocabulary_size"] = config.vocab_size
    text["max_positions"] = config.max_position_embeddings
    text["block_count"] = config.num_hidden_layers
    text["head_count"] = config.num_attention_heads
    text["tied_embeddings"] = config.tie_word_embeddings
    blocks = (model.transformer if hasattr(model, "transformer") else getattr(model, "model", model))
    if config.model_type == "gpt2":
        text["intermediate_size"] = blocks.h[0].mlp.c_fc.weight.shape[1]
        text["windows"] = [0] * config.num_hidden_layers
        return text
    attention = [layer.self_attn for layer in blocks.layers]
    text["intermediate_size"] = config.intermediate_size
    text["key_value_head_count"] = config.num_key_value_heads
    text["head_size"] = attention[0].head_dim
    text["rope_theta"] = config.rope_parameters["rope_theta"]
    text["attention_bias"] = attention[0].q_proj.bias is not None
    text["output_bias"] = attention[0].o_proj.bias is not None
    text["mlp_bias"] = blocks.layers[0].mlp.up_proj.bias is not None
    text["query_key_norm"] = hasattr(attention[0], "q_norm")
    text["norm_epsilon"] = config.rms_norm_eps
    # Mistral has one window for all layers, and asks its configuration.
    text["windows"] = [getattr(layer, "sliding_window", getattr(config, "sliding_window", None)) or 0 for layer in attention]
    return text


def write_model(name, out):
    model = randomize(MODELS[name]())
    facts = config_facts(model)
    model.save_pretrained(out / name)
    model.save_pretrained(out / f"{name}_shards", max_shard_size="10KB")
    state = model.state_dict()
    names = sorted(state)
    raw = torch.cat([state[key].flatten() for key in names]).numpy()
    raw.tofile(out / f"{name}.weights")
    model.bfloat16().save_pretrained(out / f"{name}_bf16")
    return dict(config=facts, tensors=[dict(name=key, shape=list(state[key].shape)) for key in names])


def write_adapter(name, out):
    base, arguments = ADAPTERS[name]
    config = LoraConfig(task_type="CAUSAL_LM", fan_in_fan_out=base.startswith("gpt2"), **arguments)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(out / base), config)
    for _, weight, begin in numbers_of(model):
        weight.data = pattern(begin, weight.shape)
    model.save_pretrained(out / f"adapter_{name}")
    return dict(model=base, modules=expected_modules(model))


def make(out):
    out.mkdir(parents=True, exist_ok=True)
    cases = dict(models={name: write_model(name, out) for name in MODELS},
                 adapters={name: write_adapter(name, out) for name in ADAPTERS})
    (out / "cases.json").write_text(json.dumps(cases, indent=1))


def check(out):
    cases = json.loads((out / "cases.json").read_text())["adapters"]
    for name, case in cases.items():
        base = AutoModelForCausalLM.from_pretrained(out / case["model"])
        model = PeftModel.from_pretrained(base, out / "written" / name)
        found = expected_modules(model)
        assert found == case["modules"], f"{name}: modules are {found}, not {case['modules']}"
        for tensor, weight, begin in numbers_of(model):
            assert torch.equal(weight.data, pattern(begin, weight.shape)), f"{name}: {tensor} differs"
        assert all(layer.fan_in_fan_out == case["model"].startswith("gpt2") for _, layer in adapter_layers(model)), name
        print(f"{name}: {len(found)} modules")


if __name__ == "__main__":
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    {"make": make, "check": check}[sys.argv[1]](pathlib.Path(sys.argv[2]))
